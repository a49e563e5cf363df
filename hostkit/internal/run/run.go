// Package run starts short commands that set something up and end, such as an OCI runtime that detaches.
package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
)

// stderrTail is how much of what a command said is given back.
const stderrTail = 8 << 10

// Command is what to run. With Socket, a listening unix socket at that path is its file descriptor 3.
type Command struct {
	Argv      []string          `json:"argv"`
	Env       map[string]string `json:"env"`
	Cwd       string            `json:"cwd"`
	Log       string            `json:"log"`
	Socket    string            `json:"socket"`
	TimeoutMs int               `json:"timeoutMs"`
}

// Result is how it ended: ExitCode is -1 when a signal or the time limit ended it.
type Result struct {
	ExitCode int    `json:"exitCode"`
	Stderr   string `json:"stderr"`
}

// Start runs the command to its end. Its output goes to the end of the log, which children that stay behind may go on using.
func Start(c Command) (Result, error) {
	if len(c.Argv) == 0 || c.Log == "" || c.TimeoutMs < 1 {
		return Result{}, errno.Invalidf("run.start wants argv, log and timeoutMs")
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_RDWR|os.O_APPEND|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return Result{}, err
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return Result{}, err
	}
	program, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return Result{}, errno.MissingTool{Program: c.Argv[0]}
	}
	command := exec.Command(program, c.Argv[1:]...)
	command.Dir, command.Stdout, command.Stderr = c.Cwd, log, log
	command.Env = []string{}
	for name, value := range c.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.Socket != "" {
		listener, err := listen(c.Socket)
		if err != nil {
			return Result{}, fmt.Errorf("listen at %s: %w", c.Socket, err)
		}
		defer listener.Close()
		command.ExtraFiles = []*os.File{listener}
	}
	if err := command.Start(); err != nil {
		return Result{}, fmt.Errorf("start %s: %w", program, err)
	}
	limit := time.AfterFunc(time.Duration(c.TimeoutMs)*time.Millisecond, func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	})
	err = command.Wait()
	if !limit.Stop() && err != nil {
		return Result{}, fmt.Errorf("%s: %w", filepath.Base(program), syscall.ETIMEDOUT)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, err
	}
	return Result{ExitCode: command.ProcessState.ExitCode(), Stderr: tail(log, begin)}, nil
}

// listen makes the socket by way of its directory's descriptor, since a socket's own path may have 107 bytes only.
func listen(path string) (*os.File, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), path)
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	for _, step := range []func() error{
		func() error { return syscall.Bind(fd, &syscall.SockaddrUnix{Name: short}) },
		func() error { return os.Chmod(path, 0o600) },
		func() error { return syscall.Listen(fd, 512) },
	} {
		if err := step(); err != nil {
			socket.Close()
			return nil, err
		}
	}
	return socket, nil
}

func tail(log *os.File, begin int64) string {
	end, err := log.Seek(0, io.SeekEnd)
	if err != nil || end <= begin {
		return ""
	}
	if end-begin > stderrTail {
		begin = end - stderrTail
	}
	text := make([]byte, end-begin)
	count, _ := log.ReadAt(text, begin)
	return string(text[:count])
}
