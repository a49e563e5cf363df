/** Where boxd is in a machine that is reached by SSH. */
const boxdPath = '/usr/local/lib/gibil/boxd'
export const boxdSocket = '/run/gibil/boxd.sock'

/** Text as one word of a POSIX shell. */
export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** What the login user must do as root; a user that is not needs sudo without a password. */
export const asRoot = (username: string, script: string): string =>
  `${username === 'root' ? '' : 'sudo -n '}sh -c ${quote(script)}`

/** Prints what is known of the machine, in lines that nothing else prints. */
export const probeScript = `echo "gibil-machine $(uname -m)"
if [ -f ${boxdPath} ]; then echo "gibil-boxd $(sha256sum < ${boxdPath} | cut -c1-64)"; fi`

/** Takes boxd from stdin, compressed, and puts it in its place when it is whole. What runs is not touched: it keeps its own file. */
export const uploadScript = (sha256: string): string => `set -eu
umask 022
mkdir -p ${dirname(boxdPath)}
new=$(mktemp ${boxdPath}.XXXXXX)
trap 'rm -f "$new"' EXIT
gzip -dc > "$new"
[ "$(sha256sum < "$new" | cut -c1-64)" = ${sha256} ]
chmod 755 "$new"
mv "$new" ${boxdPath}`

/**
 * Starts boxd unless it listens, and gives its socket (mode 0600) to the login user, since that is who sshd connects as. It belongs to no login: systemd keeps
 * it where there is systemd, else it has a session of its own. Two that start it at once do so one after the other.
 */
export const startScript = (owner: string, defaultUser: string): string => `set -eu
mkdir -p /run/gibil
exec 9> /run/gibil/boxd.lock
flock 9
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if [ -d /run/systemd/system ]; then
  runs() { systemctl is-active --quiet gibil-boxd; }
  alive() { runs; }
  log() { journalctl --quiet --no-pager --lines=5 --unit=gibil-boxd || true; }
  end() { systemctl stop gibil-boxd 2> /dev/null || true; systemctl reset-failed gibil-boxd 2> /dev/null || true; }
  start() {
    systemd-run --quiet --collect --unit=gibil-boxd --description='boxd of Gibil' --setenv=PATH="$PATH" \\
      --property=KillMode=mixed --property=TasksMax=infinity --property=OOMPolicy=continue \\
      ${boxdPath} --listen unix:${boxdSocket} --user ${quote(defaultUser)}
  }
else
  runs() { [ "$(readlink "/proc/$(cat /run/gibil/boxd.pid 2> /dev/null)/exe" 2> /dev/null)" = ${boxdPath} ]; }
  alive() { kill -0 "$(cat /run/gibil/boxd.pid)" 2> /dev/null; }
  log() { cat /run/gibil/boxd.log || true; }
  end() { kill "$(cat /run/gibil/boxd.pid)" 2> /dev/null || true; }
  start() {
    cd /
    setsid env -i PATH="$PATH" ${boxdPath} --listen unix:${boxdSocket} --user ${quote(defaultUser)} \\
      < /dev/null > /run/gibil/boxd.log 2>&1 9>&- &
    echo $! > /run/gibil/boxd.pid
  }
fi
if ! { runs && [ -S ${boxdSocket} ]; }; then
  if runs; then end; fi
  rm -f ${boxdSocket}
  start
fi
tries=0
until [ -S ${boxdSocket} ]; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ] || ! alive; then echo 'boxd does not listen'; log; exit 1; fi
  sleep 0.1
done
chown ${quote(owner)} ${boxdSocket}`

const dirname = (path: string): string => path.slice(0, path.lastIndexOf('/'))
