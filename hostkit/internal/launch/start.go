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

// reportFD is where that process says what hinders it. It closes when the program executes.
const reportFD = 4

// Run starts the machine of a spec (JSON) and returns once its program executes; its process id is then in the file. The program leads a session of
// its own, so that it outlives whoever asked.
func Run(text, pidFile string) error {
	runtime.LockOSThread()
	var spec Spec
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return errno.Invalidf("spec: %v", err)
	}
	if err := spec.check(); err != nil {
		return err
	}
	if os.Getenv(becoming) != "" {
		_ = os.Unsetenv(becoming)
		report := os.NewFile(reportFD, "report")
		syscall.CloseOnExec(reportFD)
		err := become(spec)
		fmt.Fprint(report, err)
		return err
	}
	return start(pidFile)
}

func start(pidFile string) error {
	said, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env:   append(os.Environ(), becoming+"=1"),
		Files: []*os.File{nil, os.Stdout, os.Stderr, os.NewFile(socketFD, "socket"), report},
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
