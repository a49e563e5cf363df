/** Where a machine keeps when it shall be gone: seconds since 1970, or `none`. */
export const deadlinePath = '/etc/gibil/deadline'

const scriptPath = '/usr/local/lib/gibil/dead-man'
const unitPath = '/etc/systemd/system/gibil-dead-man'

/** A script for root in the machine that moves its deadline, in seconds since 1970; null takes it away. The file is replaced at once. */
export const moveDeadline = (deadline: number | null): string =>
  `mkdir -p /etc/gibil && echo ${word(deadline)} > ${deadlinePath}.new && mv ${deadlinePath}.new ${deadlinePath}`

/** Powers off when the time in the file is over for so many seconds. */
export const deadManScript = (file: string, graceSeconds: number): string => `#!/bin/sh
read -r deadline < ${file}
case $deadline in
  none) exit 0 ;;
  '' | *[!0-9]*) echo "${file} holds no time."; exit 1 ;;
esac
if [ "$(date +%s)" -ge $((deadline + ${graceSeconds})) ]; then
  echo 'The lease of this machine is over: it is powered off.'
  systemctl poweroff
fi
`

/**
 * A boot hook of cloud-init: of all that it does this comes first, whatever becomes of the rest and of what the user gave. A timer asks once a minute whether the
 * deadline and the grace are over, and then powers the machine off. It is the last resort, for when nobody is left who would destroy it. The hook runs at every
 * boot, and leaves a deadline that was moved as it is; one that another machine left on the disk, of which this is a copy, goes.
 */
export const deadManHook = (deadline: number | null, graceSeconds: number): string => `#cloud-boothook
#!/bin/sh
set -eu
mkdir -p /etc/gibil /usr/local/lib/gibil
if ! [ -e ${deadlinePath} ] || [ "$(cat /etc/gibil/instance 2> /dev/null)" != "$INSTANCE_ID" ]; then
  ${moveDeadline(deadline)}
  echo "$INSTANCE_ID" > /etc/gibil/instance
fi
cat > ${scriptPath} <<'END'
${deadManScript(deadlinePath, graceSeconds)}END
chmod 755 ${scriptPath}
if ! [ -e ${unitPath}.timer ]; then
  cat > ${unitPath}.service <<'END'
[Unit]
Description=Power off when the lease of this machine is over
[Service]
Type=oneshot
ExecStart=${scriptPath}
END
  cat > ${unitPath}.timer <<'END'
[Unit]
Description=Ask whether the lease of this machine is over
[Timer]
OnActiveSec=60
OnUnitActiveSec=60
AccuracySec=10
[Install]
WantedBy=timers.target
END
fi
mkdir -p /etc/systemd/system/timers.target.wants
ln -sf ${unitPath}.timer /etc/systemd/system/timers.target.wants/
# A unit that is new is read without a reload of all others, which takes seconds on a small machine; by systemd of before 2020 it is not.
systemctl start --no-block gibil-dead-man.timer || { systemctl daemon-reload && systemctl start --no-block gibil-dead-man.timer; }
`

const word = (deadline: number | null): string => (deadline === null ? 'none' : String(Math.trunc(deadline)))
