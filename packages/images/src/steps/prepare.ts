/**
 * Makes a user who may do what programs expect of him: bash, sudo without a password, a home. Runs as root by `/bin/sh` of whatever image; `$1`
 * is the user. What the image lacks comes from its own distribution; without bash nothing goes on.
 */
export const prepareScript = `set -eu
user=$1
lacks=
for tool in bash sudo; do command -v $tool >/dev/null 2>&1 || lacks="$lacks $tool"; done
if [ -n "$lacks" ]; then
  echo "installing:$lacks"
  if command -v apt-get >/dev/null 2>&1; then
    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $lacks
    rm -rf /var/lib/apt/lists/*
  elif command -v apk >/dev/null 2>&1; then apk add --no-cache $lacks
  elif command -v dnf >/dev/null 2>&1; then dnf install -y $lacks
  elif command -v pacman >/dev/null 2>&1; then pacman -Sy --noconfirm $lacks
  else false
  fi || echo "not installed:$lacks"
fi
if ! command -v bash >/dev/null 2>&1; then
  echo 'the image has no bash, and it could not be installed' >&2
  exit 1
fi
if ! id -u "$user" >/dev/null 2>&1; then
  useradd --create-home --shell /bin/bash "$user" 2>/dev/null || adduser -D -s /bin/bash "$user"
fi
home=$(eval echo "~$user")
mkdir -p "$home" /code /etc/sudoers.d
chown "$user:" "$home"
chmod 0777 /code /usr/local
printf '%s ALL=(ALL) NOPASSWD:ALL\\n' "$user" >"/etc/sudoers.d/$user"
chmod 0440 "/etc/sudoers.d/$user"
`
