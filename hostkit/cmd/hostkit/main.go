// Command hostkit makes the system calls that the daemon cannot. See hostkit/PROTOCOL.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/launch"
	"gibil.dev/hostkit/internal/ops"
	"gibil.dev/hostkit/internal/rpc"
	"gibil.dev/hostkit/internal/selftest"
	"gibil.dev/hostkit/internal/sys"
)

// Work that changes its thread's namespace ends that thread with itself, but the main thread cannot end: were such work to land on it, it
// would hold the namespace, and with it a box's link, for as long as hostkit lives. So the main thread is kept for main alone.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hostkit:", err)
		os.Exit(1)
	}
}

// outliveSignals takes and drops the signals that a terminal or a service manager sends to the daemon's whole group: the daemon still needs hostkit to
// stop in order, and ends it by closing its input. Setting them to be ignored would pass on to every command.
func outliveSignals() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
}

func run(args []string) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "serve":
		outliveSignals()
		if err := sys.KeepInherited(); err != nil {
			return err
		}
		// Whatever is under way is cut off; a disk must not stay frozen for it.
		defer disk.ThawAll()
		return rpc.Serve(os.Stdin, os.Stdout, ops.Operations())
	case "hold":
		// Keeps a user namespace alive while the parent opens it; not for people.
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "launch":
		if len(args) == 3 {
			return launch.Machine(args[1], args[2])
		}
	case "serve-disk":
		if len(args) == 3 {
			return launch.ServeDisk(args[1], args[2])
		}
	case "selftest":
		flags := flag.NewFlagSet("selftest", flag.ContinueOnError)
		dir := flags.String("dir", os.TempDir(), "where to try things")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		items, err := selftest.Run(*dir)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(items)
	case "--version", "version":
		fmt.Println("hostkit", ops.Version)
		return nil
	}
	return fmt.Errorf("use: hostkit serve | launch SPEC PIDFILE | serve-disk SPEC PIDFILE | selftest --dir DIR | --version")
}
