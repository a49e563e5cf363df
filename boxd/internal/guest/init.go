package guest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// initOption of the kernel's command line names the init of the image that goes on from here.
	initOption = "gibil.init="
	// powerOffSignal is SIGRTMIN+4 as systemd(1) counts it: start poweroff.target.
	powerOffSignal = syscall.Signal(34 + 4)
	// identityPatience is how long the rest of the start-up waits for the host: a machine that nobody asks for comes up all the same.
	identityPatience = 30 * time.Second
)

// unit has boxd up before anything looks at the machine's name or network, and those wait until the host has given them. What commands started is ended
// with the machine, after its services.
const unit = `[Unit]
Description=Gibil boxd
Documentation=https://gibil.dev
DefaultDependencies=no
After=systemd-tmpfiles-setup-dev.service systemd-remount-fs.service
Before=network-pre.target cloud-init-local.service sysinit.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=notify
ExecStart=/run/gibil/boxd --machine
Restart=always
RestartSec=1
TimeoutStopSec=30
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
OOMPolicy=continue
%s`

// journalUnits have the journal kept under the id of the box, once that is there: journald reads it when it starts and never again. A moment later, since
// whoever made the box waits for its first command.
const (
	journalPath = `[Unit]
Description=Wait for the identity of this box
DefaultDependencies=no
Before=gibil-boxd.service
Conflicts=shutdown.target
Before=shutdown.target

[Path]
PathChanged=` + bootIDFile + `
`
	journalService = `[Unit]
Description=Keep the journal under the id of this box
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
ExecStartPre=/bin/sleep 3
ExecStart=/bin/systemctl restart systemd-journald.service
`
)

// handOver makes the init of the image the first process, where the kernel's command line names one, and then does not return. The image need not
// know of boxd: what it needs is in /run, which is new in each boot.
func handOver() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	program := ""
	for _, word := range strings.Fields(string(line)) {
		if strings.HasPrefix(word, initOption) {
			program = strings.TrimPrefix(word, initOption)
		}
	}
	if program == "" {
		return nil
	}
	err = do([]step{
		{"run directory", func() error { return layRun(newRoot + "/run") }},
		{"change of root", enterRoot},
		{"kernel modules", mountModules},
		{"machine id", nameMachine},
	})
	if err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: program, Err: syscall.Exec(program, []string{program}, []string{"TERM=linux"})}
}

// layRun puts boxd and its unit where systemd looks for what lasts as long as one boot.
func layRun(run string) error {
	err := mount{"run", run, "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"}.do()
	if err != nil {
		return err
	}
	boxd, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	units := filepath.Join(run, "systemd/system")
	wants := filepath.Join(units, "sysinit.target.wants")
	for _, directory := range []string{wants, filepath.Join(run, "gibil")} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(run, "gibil/boxd"), boxd, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"gibil-boxd.service":    fmt.Sprintf(unit, environment("GODEBUG", "GOMAXPROCS")),
		"gibil-journal.path":    journalPath,
		"gibil-journal.service": journalService,
	} {
		if err := os.WriteFile(filepath.Join(units, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"gibil-boxd.service", "gibil-journal.path"} {
		if err := os.Symlink("../"+name, filepath.Join(wants, name)); err != nil {
			return err
		}
	}
	return nil
}

// environment passes on what the kernel's command line says to its first program.
func environment(names ...string) string {
	lines := ""
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			lines += "Environment=" + name + "=" + value + "\n"
		}
	}
	return lines
}

// nameMachine gives a machine that never had one an id. Without it systemd would take this for the first boot ever and enable all there is; the host gives
// another one soon.
func nameMachine() error {
	const path = "/etc/machine-id"
	if text, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(text))) == 32 {
		return nil
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	return writeEtc(filepath.Base(path), hex.EncodeToString(id)+"\n")
}

// Ready returns what tells systemd, once, that its start-up may go on; it does so too when nobody has called it for a while.
func Ready() func() {
	address := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	var once sync.Once
	ready := func() {
		once.Do(func() {
			// systemd restarts what says nothing, which is all that could be done here.
			if connection, err := net.Dial("unixgram", address); err == nil {
				_, _ = connection.Write([]byte("READY=1"))
				_ = connection.Close()
			}
		})
	}
	time.AfterFunc(identityPatience, ready)
	return ready
}

// AskPowerOff has systemd end the machine in good order.
func AskPowerOff() error { return syscall.Kill(1, powerOffSignal) }
