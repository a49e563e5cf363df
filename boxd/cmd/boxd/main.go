// Command boxd is the process inside every box: it runs commands and serves files, as PROTOCOL.md says.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/files"
	"gibil.dev/boxd/internal/guest"
	"gibil.dev/boxd/internal/httpapi"
	"gibil.dev/boxd/internal/jobs"
	"gibil.dev/boxd/internal/metrics"
	"gibil.dev/boxd/internal/rootfs"
	"gibil.dev/boxd/internal/sftp"
	"gibil.dev/boxd/internal/users"
)

const version = "0.1.0"

// maxProcs bounds the threads of boxd: its work is small, and a box with a tenth of a CPU may be on a machine with hundreds.
const maxProcs = 4

// openFiles is the soft limit that commands inherit. The Go runtime raises its own to the hard limit, and programs that
// close every possible descriptor, or use select(2), are slow or wrong with that.
const openFiles = 65_536

const (
	prSetChildSubreaper = 36 // linux/prctl.h
	// terminateGrace is what processes get after SIGTERM to boxd itself.
	terminateGrace = 5 * time.Second
)

func main() {
	if guest.Starting() {
		bootMachine()
		return
	}
	if filepath.Base(os.Args[0]) == jobs.BuiltinPrefix+"sftp" {
		sftp.Serve(os.Stdin, os.Stdout)
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "boxd:", err)
		os.Exit(1)
	}
}

// bootMachine serves as the first process of a virtual machine. Whatever happens, its end is that of the machine.
func bootMachine() {
	defer guest.PowerOff()
	listener, disks, err := guest.Boot()
	if err == nil {
		_, err = serve(listener, "agent", disks, nil)
	}
	if err != nil {
		fmt.Println("boxd:", err)
	}
}

func run() error {
	fd := flag.Int("fd", -1, "serve on this inherited listening socket")
	listen := flag.String("listen", "", "serve on unix:/path or tcp:address:port")
	user := flag.String("user", "agent", "default user of commands")
	machine := flag.Bool("machine", false, "serve a virtual machine that has an init of its own, by its control link")
	fill := flag.String("fill", "", "make this directory of the host what the tree of a box is that comes by stdin, and print its report")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *showVersion {
		fmt.Println(version)
		return nil
	}
	if *fill != "" {
		return fillDirectory(*fill)
	}
	if *machine {
		return joinMachine(*user)
	}
	listener, err := open(*fd, *listen)
	if err != nil {
		return err
	}
	_, err = serve(listener, *user, nil, nil)
	return err
}

// fillDirectory is what boxd does outside of a box: the other end of a stream that boxd in a box has made.
func fillDirectory(directory string) error {
	if err := rootfs.Confine(directory); err != nil {
		return err
	}
	report, err := rootfs.Fill("/", os.Stdin)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// joinMachine serves as a service of the machine's init. When the host asks for the end of the box, that ends the machine.
func joinMachine(user string) error {
	listener, disks, err := guest.Join()
	if err != nil {
		return err
	}
	asked, err := serve(listener, user, disks, guest.Ready())
	if asked {
		return guest.AskPowerOff()
	}
	return err
}

// serve answers until the box is shut down, and tells whether the host asked for that. With disks it is in a machine of its own, and the machine is the
// box; identified is called when that has got its identity.
func serve(listener net.Listener, user string, disks *guest.Disks, identified func()) (asked bool, err error) {
	prepare()
	table := jobs.NewTable(users.System(), user, true)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			table.Reap()
		}
	}()
	ended := make(chan struct{})
	var once sync.Once
	var byHost atomic.Bool
	shutdown := func(grace time.Duration) {
		go once.Do(func() {
			table.Shutdown(grace)
			close(ended)
		})
	}
	handleSignals(shutdown)
	api := &httpapi.API{
		Version: version,
		Jobs:    table,
		Shutdown: func(grace time.Duration) {
			byHost.Store(true)
			shutdown(grace)
		},
		Files:   &files.Tree{Users: table.Users(), DefaultUser: func() string { return table.Defaults().User }},
		Metrics: metrics.New("/", os.Getpid() == 1 && disks == nil, time.Now).Start(),
	}
	if disks != nil {
		api.Disks = disks
		api.Identify = func(id guest.Identity) error {
			// With a name it may be the copy of another box, whose disks nobody serves here.
			if id.Hostname != "" {
				disks.Drop()
			}
			if err := guest.Take(id); err != nil {
				return err
			}
			if identified != nil && id.Hostname != "" {
				identified()
			}
			return nil
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- api.Serve(listener) }()
	select {
	case err := <-failed:
		return false, err
	case <-ended:
		if disks != nil {
			disks.Drop()
		}
		return byHost.Load(), nil
	}
}

// handleSignals makes SIGTERM a graceful shutdown. The others, which would end a Go program, are taken and dropped: setting them
// to be ignored would pass on to every command.
func handleSignals(shutdown func(time.Duration)) {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		shutdown(terminateGrace)
	}()
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGIO, syscall.SIGPWR)
}

// open finds the listening socket. No process of the box may inherit it.
func open(fd int, listen string) (net.Listener, error) {
	switch {
	case fd >= 0 && listen != "":
		return nil, fmt.Errorf("give --fd or --listen, not both")
	case fd >= 0:
		syscall.CloseOnExec(fd)
		file := os.NewFile(uintptr(fd), "listener")
		defer file.Close()
		return net.FileListener(file)
	}
	network, address, ok := strings.Cut(listen, ":")
	if !ok || (network != "unix" && network != "tcp") {
		return nil, fmt.Errorf("give --fd N, --listen unix:/path or --listen tcp:address:port")
	}
	if network == "unix" {
		old := syscall.Umask(0o177)
		defer syscall.Umask(old)
	}
	return net.Listen(network, address)
}

// prepare sets what this process and the commands it starts need.
func prepare() {
	keepDescriptors()
	if runtime.GOMAXPROCS(0) > maxProcs {
		runtime.GOMAXPROCS(maxProcs)
	}
	debug.SetGCPercent(50)
	// Orphans of commands come here, also where this is not process 1: otherwise they would outlive a shutdown.
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
	syscall.Umask(0o022)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur > openFiles {
		limit.Cur = openFiles
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

// keepDescriptors keeps whatever this process was started with from the commands that it starts.
func keepDescriptors() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
