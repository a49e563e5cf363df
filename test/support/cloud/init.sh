# In the machine: the part of cloud-init that a box needs, then Debian's own SSH server as process 1.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export INSTANCE_ID=$(cat /run/told/instance-id)
mkdir -p /var/lib/cloud /usr/local/bin /run/cloud-init
# What an image of a cloud has and a copy of this host may not have.
for name in dockerd git curl rsync unzip; do
  command -v $name > /dev/null || { echo '#!/bin/true' > /usr/local/bin/$name; chmod 755 /usr/local/bin/$name; }
done
cat > /usr/local/bin/systemctl <<'END'
#!/bin/sh
case $1 in poweroff) kill -TERM 1 ;; esac
END
# Says how it went, once that is known.
cat > /usr/local/bin/cloud-init <<'END'
#!/bin/sh
until [ -f /run/cloud-init/status ]; do sleep 0.05; done
exit "$(cat /run/cloud-init/status)"
END
chmod 755 /usr/local/bin/systemctl /usr/local/bin/cloud-init
for hook in /run/told/boothook-*; do sh "$hook"; done
if [ "$(cat /var/lib/cloud/instance 2> /dev/null)" != "$INSTANCE_ID" ]; then
  echo "127.0.0.1 localhost
127.0.1.1 $(hostname)" > /etc/hosts
  : > /etc/resolv.conf
  rm -f /etc/ssh/ssh_host_*
  rm -rf /etc/ssh/sshd_config.d
  cp -r /run/told/files/. /
  chmod 600 /etc/ssh/ssh_host_ed25519_key
  # A snapshot has the user already; this host may have another one with that number.
  if ! id agent > /dev/null 2>&1; then
    other=$(getent passwd 1000 | cut -d: -f1)
    if [ -n "$other" ]; then userdel "$other" 2> /dev/null; fi
    useradd --create-home --shell /bin/bash --uid 1000 agent
  fi
  # As an account is that takes keys alone.
  usermod --password '*' agent
  mkdir -p /home/agent/.ssh /etc/sudoers.d
  cp /run/told/authorized_keys /home/agent/.ssh/authorized_keys
  chown -R agent: /home/agent/.ssh
  chmod -R go= /home/agent/.ssh
  echo 'agent ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/agent
  (
    status=0
    for script in /run/told/runcmd /run/told/script-*; do
      if [ -f "$script" ]; then chmod 755 "$script"; "$script" || status=1; fi
    done
    echo $status > /run/cloud-init/status.new
    mv /run/cloud-init/status.new /run/cloud-init/status
  ) > /var/log/cloud-init-output.log 2>&1 &
  echo "$INSTANCE_ID" > /var/lib/cloud/instance
else
  echo 0 > /run/cloud-init/status
fi
exec /usr/sbin/sshd -D -e -o UsePAM=no
