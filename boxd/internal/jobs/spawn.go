package jobs

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

// commandOomScore lies above what boxd itself gets from a driver (300 at most); see proc_pid_oom_score_adj(5).
const commandOomScore = "800"

// descriptors are the ends of a new command's input and output: child is what it gets as 0, 1 and 2.
type descriptors struct {
	child   [3]int
	opened  []int // child ends to close after the fork
	stdin   int
	sources []*source
	tty     *os.File
}

func (d *descriptors) closeChild() {
	for _, fd := range d.opened {
		syscall.Close(fd)
	}
}

func (d *descriptors) closeOwn() {
	if d.stdin >= 0 {
		syscall.Close(d.stdin)
	}
	for _, s := range d.sources {
		s.file.Close()
	}
}

// pipe opens a pipe whose end for boxd does not block.
func (d *descriptors) pipe(childReads bool) (child, own int, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, 0, err
	}
	child, own = ends[1], ends[0]
	if childReads {
		child, own = ends[0], ends[1]
	}
	d.opened = append(d.opened, child)
	_ = syscall.SetNonblock(own, true)
	return child, own, nil
}

func openDescriptors(spec *Spec, user users.User) (*descriptors, error) {
	d := &descriptors{stdin: -1}
	fail := func(err error) (*descriptors, error) {
		d.closeChild()
		d.closeOwn()
		return nil, fault.Of(err, "Opening the input and output of the command")
	}
	if spec.Tty != nil {
		master, slave, err := openPty(*spec.Tty, user.UID)
		if err != nil {
			return fail(err)
		}
		d.opened = append(d.opened, slave)
		d.child = [3]int{slave, slave, slave}
		d.tty = os.NewFile(uintptr(master), "tty")
		d.sources = []*source{{file: d.tty}}
		return d, nil
	}
	if spec.Stdin {
		child, own, err := d.pipe(true)
		if err != nil {
			return fail(err)
		}
		d.child[0], d.stdin = child, own
	} else {
		null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return fail(err)
		}
		d.child[0] = null
		d.opened = append(d.opened, null)
	}
	for fd := 1; fd <= 2; fd++ {
		child, own, err := d.pipe(false)
		if err != nil {
			return fail(err)
		}
		d.child[fd] = child
		d.sources = append(d.sources, &source{file: os.NewFile(uintptr(own), "output"), stderr: fd == 2})
	}
	return d, nil
}

// noSetGroups: a user namespace that was made without privileges forbids setgroups(2), see user_namespaces(7).
var noSetGroups = func() bool {
	text, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(text)) == "deny"
}()

// Start runs a command. With a client it is attached before the first byte is read.
func (t *Table) Start(spec Spec, attach bool) (*Job, *Client, error) {
	if err := spec.check(); err != nil {
		return nil, nil, err
	}
	defaults := t.Defaults()
	if spec.User == "" {
		spec.User = defaults.User
	}
	user, err := t.users.Lookup(spec.User)
	if err != nil {
		return nil, nil, err
	}
	dir, err := directory(user, spec.Cwd, defaults.Cwd)
	if err != nil {
		return nil, nil, err
	}
	env, searchPath := environment(user, spec.Tty != nil, defaults.Env, spec.Env)
	file := self
	if spec.Builtin == "" {
		if file, err = program(spec.Argv[0], searchPath, dir); err != nil {
			return nil, nil, err
		}
	}
	sys := &syscall.SysProcAttr{Setsid: true, Setctty: spec.Tty != nil}
	if os.Geteuid() == 0 {
		sys.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.Groups, NoSetGroups: noSetGroups}
	} else if user.UID != uint32(os.Geteuid()) {
		return nil, nil, fault.New(fault.PermissionDenied, "boxd does not run as root and cannot run a command as %s.", user.Name)
	}
	if err := t.admit(); err != nil {
		return nil, nil, err
	}
	d, err := openDescriptors(&spec, user)
	if err != nil {
		t.release()
		return nil, nil, err
	}
	job := newJob(t, &spec, user, dir, d)
	var client *Client
	if attach {
		client = job.join(0)
	}
	if err := t.fork(job, file, &spec, env, sys, d); err != nil {
		d.closeChild()
		d.closeOwn()
		t.release()
		return nil, nil, err
	}
	d.closeChild()
	for _, s := range d.sources {
		go job.pump(s)
	}
	return job, client, nil
}

func newJob(t *Table, spec *Spec, user users.User, dir string, d *descriptors) *Job {
	job := &Job{
		table: t, tty: d.tty, ring: newRing(spec.RingBytes), clients: map[*Client]struct{}{}, sources: d.sources, pumps: len(d.sources), hangsUp: spec.HangUp,
		info: Info{ID: newID(), Argv: shorten(spec.Argv), Cwd: dir, User: user.Name, Tty: spec.Tty != nil, Label: spec.Label},
	}
	if d.tty != nil {
		job.stdin = d.tty
	} else if d.stdin >= 0 {
		job.stdin = os.NewFile(uintptr(d.stdin), "stdin")
		d.stdin = -1
	}
	return job
}

// shownArgvBytes bounds what is kept and shown of a command line, which may itself be long.
const shownArgvBytes = 8 << 10

func shorten(argv []string) []string {
	left := shownArgvBytes
	shown := []string{}
	for _, argument := range argv {
		if left -= len(argument) + 1; left < 0 {
			return append(shown, strings.ToValidUTF8(argument[:left+1+len(argument)], "")+"…")
		}
		shown = append(shown, argument)
	}
	return shown
}

// fork starts the process and makes it known to the reaper, which is held off meanwhile.
func (t *Table) fork(job *Job, file string, spec *Spec, env []string, sys *syscall.SysProcAttr, d *descriptors) error {
	t.reaping.RLock()
	defer t.reaping.RUnlock()
	job.started = time.Now()
	job.info.StartedAt = job.started.UTC().Format(TimeFormat)
	pid, err := syscall.ForkExec(file, spec.Argv, &syscall.ProcAttr{
		Dir: job.info.Cwd, Env: env, Sys: sys,
		Files: []uintptr{uintptr(d.child[0]), uintptr(d.child[1]), uintptr(d.child[2])},
	})
	if err != nil {
		if job.stdin != nil {
			job.stdin.Close()
		}
		return startFailure(err, spec.Argv[0], job.info.Cwd)
	}
	job.info.Pid = pid
	// A box that runs out of memory should lose commands, not boxd. Raising a value takes no privilege; failing changes nothing else.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte(commandOomScore), 0)
	if spec.TimeoutMs > 0 {
		job.timer = time.AfterFunc(time.Duration(spec.TimeoutMs)*time.Millisecond, job.expire)
	}
	t.register(job)
	return nil
}

func startFailure(err error, name, dir string) error {
	switch err {
	case syscall.ENOENT:
		return fault.New(fault.CommandNotFound, "The box has no command %q, or not the interpreter that it names.", name)
	case syscall.ENOTDIR:
		return fault.New(fault.CommandNotFound, "The box has no command %q.", name)
	case syscall.ENOEXEC:
		return fault.New(fault.CommandNotFound, "%q is no program for this machine and names no interpreter.", name)
	case syscall.EACCES, syscall.EPERM:
		return fault.New(fault.PermissionDenied, "%q in %s may not be executed: %v.", name, dir, err)
	case syscall.E2BIG:
		return fault.New(fault.InvalidRequest, "The arguments and the environment of %q are too long.", name)
	case syscall.EAGAIN, syscall.ENOMEM:
		return fault.New(fault.LimitReached, "The box has no room for another process: %v.", err)
	}
	return fault.Of(err, "Starting "+name)
}
