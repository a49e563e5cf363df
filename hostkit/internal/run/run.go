// Package run starts short commands that set something up and end, such as an OCI runtime that detaches.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/mountns"
)

const (
	// outputTail is how much of what a command said is given back.
	outputTail = 8 << 10
	// longest time limit: a day. More is a caller's mistake.
	longestMs = 24 * 60 * 60 * 1000
)

// Command is what to run. With Socket, a listening unix socket at that path is its file descriptor 3; with Mounts, that is all it sees of
// the host's mounts.
type Command struct {
	Argv      []string          `json:"argv"`
	Env       map[string]string `json:"env"`
	Cwd       string            `json:"cwd"`
	Log       string            `json:"log"`
	Socket    string            `json:"socket"`
	TimeoutMs int               `json:"timeoutMs"`
	Mounts    *mountns.View     `json:"mounts"`
}

// Result is how it ended: ExitCode is 128 and the signal's number when a signal ended it. Stderr is the end of what it added to the log.
type Result struct {
	ExitCode int    `json:"exitCode"`
	Stderr   string `json:"stderr"`
}

func (c Command) check() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return errno.Invalidf("there is no command in argv")
	}
	if c.TimeoutMs < 1 || c.TimeoutMs > longestMs {
		return errno.Invalidf("timeoutMs is 1 to %d, not %d", longestMs, c.TimeoutMs)
	}
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return errno.Invalidf("%q cannot be a variable of the environment", name)
		}
	}
	for _, path := range []string{c.Cwd, c.Log} {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	if c.Socket == "" {
		return nil
	}
	return errno.CheckPath(c.Socket)
}

// Start runs the command to its end. Its output goes to the end of the log, which children that stay behind may go on using. After the time
// limit, or when the caller gives up, it is killed with its process group. Where it did not end well, no socket is left.
func Start(ctx context.Context, c Command) (Result, error) {
	if err := c.check(); err != nil {
		return Result{}, err
	}
	program, err := find(c.Argv[0], c.Env["PATH"])
	if err != nil {
		return Result{}, err
	}
	if _, err := os.Stat(c.Cwd); err != nil {
		return Result{}, err
	}
	log, begin, err := openLog(c.Log)
	if err != nil {
		return Result{}, err
	}
	defer log.Close()
	// An *os.File as output: no pipe, so that Wait waits for the command alone and not for what it leaves behind.
	command := &exec.Cmd{Path: program, Args: c.Argv, Env: []string{}, Dir: c.Cwd, Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	for name, value := range c.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	var socket *os.File
	if c.Socket != "" {
		if socket, err = listen(c.Socket); err != nil {
			return Result{}, fmt.Errorf("listen at %s: %w", c.Socket, err)
		}
		defer socket.Close()
		command.ExtraFiles = []*os.File{socket}
	}
	start := command.Start
	if c.Mounts != nil {
		start = func() error { return c.Mounts.In(command.Start) }
	}
	result, err := wait(ctx, command, start, time.Duration(c.TimeoutMs)*time.Millisecond)
	if socket != nil && (err != nil || result.ExitCode != 0) {
		_ = os.Remove(c.Socket)
	}
	if err != nil {
		return Result{}, err
	}
	result.Stderr = tail(log, begin)
	return result, nil
}

func wait(ctx context.Context, command *exec.Cmd, start func() error, limit time.Duration) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if err := start(); err != nil {
		return Result{}, fmt.Errorf("start %s: %w", command.Path, err)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var gaveUp error
	var err error
	select {
	case err = <-ended:
	case <-timer.C:
		gaveUp = fmt.Errorf("%s did not end within %s: %w", command.Path, limit, syscall.ETIMEDOUT)
	case <-ctx.Done():
		gaveUp = ctx.Err()
	}
	if gaveUp != nil {
		// The group exists at least until Wait has reaped its leader; should that happen just now, the rest of the group is meant all the same.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-ended
		return Result{}, gaveUp
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("wait for %s: %w", command.Path, err)
	}
	return Result{ExitCode: exitCode(command.ProcessState)}, nil
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// find looks a program up in the PATH that it is to have, else in this process's own.
func find(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return "", errno.MissingTool{Program: name}
		}
		return name, nil
	}
	if path == "" {
		path = os.Getenv("PATH")
	}
	for _, dir := range strings.Split(path, ":") {
		if !strings.HasPrefix(dir, "/") {
			continue // a relative directory would depend on where hostkit runs
		}
		candidate := dir + "/" + name
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", errno.MissingTool{Program: name}
}

func openLog(path string) (log *os.File, end int64, err error) {
	log, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, err
	}
	if end, err = log.Seek(0, io.SeekEnd); err != nil {
		_ = log.Close()
		return nil, 0, err
	}
	return log, end, nil
}

func tail(log *os.File, begin int64) string {
	end, err := log.Seek(0, io.SeekEnd)
	if err != nil || end <= begin {
		return ""
	}
	if end-begin > outputTail {
		begin = end - outputTail
	}
	text := make([]byte, end-begin)
	count, _ := log.ReadAt(text, begin)
	return strings.ToValidUTF8(string(text[:count]), "\uFFFD")
}
