package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

// becoming is set in the environment of the process that is to become the machine.
const becoming = "GIBIL_LAUNCH"

// reportFD is where that process says what hinders it. It closes when the program executes. Below it that process begins with nothing of its own: the
// runtime of Go, which works on beside it, would come to use what has been put where its own descriptors are.
const reportFD = highFD - 1

type role interface {
	check() error
	become() error
}

// Machine starts the virtual machine of a spec (JSON) and returns once its program executes; its process id is then in the file. The program leads a
// session of its own, so that it outlives whoever asked. It gets the socket that this process was given.
func Machine(text, pidFile string) error {
	return run(text, &Spec{}, pidFile, true)
}

// ServeDisk starts what serves a disk to a virtual machine, in the same way.
func ServeDisk(text, pidFile string) error { return run(text, &Disk{}, pidFile, false) }

func run(text string, spec role, pidFile string, withSocket bool) error {
	runtime.LockOSThread()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(spec); err != nil {
		return errno.Invalidf("spec: %v", err)
	}
	if err := spec.check(); err != nil {
		return err
	}
	if os.Getenv(becoming) != "" {
		_ = os.Unsetenv(becoming)
		report := os.NewFile(reportFD, "report")
		for fd := socketFD + 1; fd <= reportFD; fd++ {
			syscall.CloseOnExec(fd)
		}
		err := spec.become()
		fmt.Fprint(report, err)
		return err
	}
	return start(pidFile, withSocket)
}

func start(pidFile string, withSocket bool) error {
	said, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer nothing.Close()
	files := []*os.File{nil, os.Stdout, os.Stderr}
	if withSocket {
		files = append(files, os.NewFile(socketFD, "socket"))
	}
	for len(files) < reportFD {
		files = append(files, nothing)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env:   append(os.Environ(), becoming+"=1"),
		Files: append(files, report),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	_ = report.Close()
	if err != nil {
		return err
	}
	if err := os.WriteFile(pidFile, []byte(fmt.Sprintln(process.Pid)), 0o600); err != nil {
		_ = process.Kill()
		return err
	}
	problem, err := io.ReadAll(said)
	if err != nil {
		return err
	}
	if len(problem) > 0 {
		_, _ = process.Wait()
		_ = os.Remove(pidFile)
		return errors.New(string(problem))
	}
	return process.Release()
}
