package jobs

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/fault"
)

const (
	// readBytes is the most that one read takes from a command.
	readBytes = 64 << 10
	// drainTime is how long the pipes of an ended command are read while something else holds them open.
	drainTime = 500 * time.Millisecond
	// killDelay is the time between SIGTERM and SIGKILL of a command that took too long.
	killDelay = 2 * time.Second
)

// Exit says how a command ended.
type Exit struct {
	ExitCode   *int    `json:"exitCode"`
	Signal     *string `json:"signal"`
	TimedOut   bool    `json:"timedOut"`
	DurationMs float64 `json:"durationMs"`
}

// Info is a command as others see it.
type Info struct {
	ID  string `json:"id"`
	Pid int    `json:"pid"`
	// Argv is cut after 8 KiB.
	Argv        []string `json:"argv"`
	Cwd         string   `json:"cwd"`
	User        string   `json:"user"`
	Tty         bool     `json:"tty"`
	Label       string   `json:"label"`
	StartedAt   string   `json:"startedAt"`
	Exit        *Exit    `json:"exit"`
	OutputBytes int64    `json:"outputBytes"`
	FirstOffset int64    `json:"firstOffset"`
	// InputBytes came for its input, taken or still waiting for it. Who comes back sees by them whether some were lost on the way.
	InputBytes int64 `json:"inputBytes"`
}

// Job is one command: its process, its output and who listens.
type Job struct {
	table   *Table
	info    Info
	started time.Time
	tty     *os.File
	timer   *time.Timer
	hangsUp bool

	stdinMu   sync.Mutex
	input     atomic.Int64
	stdin     *os.File
	lastTyped byte

	mu       sync.Mutex
	ring     *ring
	times    times
	clients  map[*Client]struct{}
	changed  chan struct{}
	pumps    int
	sources  []*source
	reaped   bool
	timedOut bool
	exit     *Exit
	ended    bool
}

// source is one end that output is read from.
type source struct {
	file   *os.File
	stderr bool
	// owed is what the command had printed but boxd not yet read when the command ended.
	owed int
}

// Info gives the state of this moment.
func (j *Job) Info() Info {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.snapshot()
}

func (j *Job) snapshot() Info {
	info := j.info
	info.OutputBytes = j.ring.next
	info.FirstOffset = j.ring.first
	info.InputBytes = j.input.Load()
	if j.ended {
		info.Exit = j.exit
	}
	return info
}

// notify wakes everyone who waits for a change. The caller holds mu.
func (j *Job) notify() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// wait gives a channel that closes at the next change. The caller holds mu.
func (j *Job) wait() <-chan struct{} {
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.changed
}

// room is how much may be read before the slowest client has to catch up. The caller holds mu.
func (j *Job) room() int {
	room := int64(j.ring.limit)
	for client := range j.clients {
		if left := int64(j.ring.limit) - (j.ring.next - client.cursor); left < room {
			room = left
		}
	}
	if room > readBytes {
		return readBytes
	}
	return int(room)
}

// pump reads one source until its end, straight into the ring.
func (j *Job) pump(s *source) {
	conn, err := s.file.SyscallConn()
	for err == nil {
		var n int
		var readErr error
		var full <-chan struct{}
		err = conn.Read(func(fd uintptr) bool {
			n, full, readErr = j.readSome(s, int(fd))
			return full != nil || readErr != syscall.EAGAIN
		})
		switch {
		case err != nil: // the time to drain is over, or the file was closed
		case full != nil:
			if !j.waitForRoom(full) {
				err = os.ErrDeadlineExceeded
			}
		case n <= 0: // end of file, or EIO: nobody holds the other side of the terminal
			err = os.ErrClosed
		}
	}
	j.drainOwed(s)
	s.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pumps--; j.pumps == 0 && j.exit != nil {
		j.finish()
	}
}

// readSome reads once without blocking; full is set when a client has to catch up first.
func (j *Job) readSome(s *source, fd int) (n int, full <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	region := j.ring.region(j.room())
	if len(region) == 0 {
		return 0, j.wait(), nil
	}
	for {
		n, err = syscall.Read(fd, region)
		if err != syscall.EINTR {
			break
		}
	}
	if n > 0 {
		j.times.note(j.ring.next, time.Since(j.started), j.ring.first)
		j.ring.commit(s.stderr, n)
		if s.owed -= n; s.owed < 0 {
			s.owed = 0
		}
		j.notify()
	}
	return n, nil, err
}

// waitForRoom waits until there may be room, and is false when the command has ended and its time to drain is over.
func (j *Job) waitForRoom(full <-chan struct{}) bool {
	for {
		j.mu.Lock()
		var left time.Duration
		ended := j.exit != nil
		if ended {
			left = time.Until(j.drainUntil())
		}
		j.mu.Unlock()
		if !ended {
			<-full
			return true
		}
		if left <= 0 {
			return false
		}
		select {
		case <-full:
			return true
		case <-time.After(left):
		}
	}
}

func (j *Job) drainUntil() time.Time {
	return j.started.Add(time.Duration(j.exit.DurationMs * float64(time.Millisecond))).Add(drainTime)
}

// drainOwed reads what the command itself printed before it ended, however slow this machine or the clients are: the ring was
// extended by as much.
func (j *Job) drainOwed(s *source) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		for {
			j.mu.Lock()
			owed := s.owed
			j.mu.Unlock()
			if owed == 0 {
				return
			}
			if n, full, err := j.readSome(s, int(fd)); full != nil || err != nil || n <= 0 {
				return
			}
		}
	})
}

// processEnded is called once, by the reaper.
func (j *Job) processEnded(status syscall.WaitStatus) {
	exit := &Exit{DurationMs: float64(time.Since(j.started).Microseconds()) / 1000}
	if status.Signaled() {
		name := signalName(status.Signal())
		exit.Signal = &name
	} else {
		code := status.ExitStatus()
		exit.ExitCode = &code
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	j.mu.Lock()
	exit.TimedOut = j.timedOut
	j.exit = exit
	owed := 0
	for _, s := range j.sources {
		s.owed = ttyOwed
		if j.tty == nil {
			s.owed = j.bufferedIn(s)
		}
		owed += s.owed
	}
	if owed > 0 {
		j.ring.extend(owed)
	}
	deadline := j.drainUntil()
	for _, s := range j.sources {
		_ = s.file.SetReadDeadline(deadline)
	}
	j.notify()
	if j.pumps == 0 {
		j.finish()
	}
	j.mu.Unlock()
	j.closeStdin()
}

// ttyOwed bounds what a terminal holds: its kernel buffers are not all visible to FIONREAD.
const ttyOwed = 64 << 10

func (j *Job) bufferedIn(s *source) (n int) {
	if conn, err := s.file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { n = buffered(fd) })
	}
	return n
}

// finish makes the exit known: all output is in the ring. The caller holds mu.
func (j *Job) finish() {
	j.ended = true
	j.ring.shrink()
	j.notify()
	go j.table.jobEnded(j)
}

// keepWithin forgets the output of an ended command that is larger than allowed, and says how much memory stays in use.
func (j *Job) keepWithin(allowed int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ring.bytes() > allowed && len(j.clients) == 0 {
		j.ring.drop()
		j.times = times{}
	}
	return j.ring.bytes()
}

// closeStdin lets go of the pipe, and of a writer that waits for an ended command to read.
func (j *Job) closeStdin() {
	if j.stdin != nil && j.tty == nil {
		j.stdin.Close()
	}
}

// hangUp closes what is boxd's of a command that runs: who has the terminal gets SIGHUP from the kernel, who writes to a pipe SIGPIPE.
func (j *Job) hangUp() {
	j.closeStdin()
	for _, s := range j.sources {
		s.file.Close()
	}
}

// WriteStdin waits until the command has taken all bytes. What an ended command does not read is dropped.
func (j *Job) WriteStdin(data []byte) error {
	if j.stdin == nil {
		return fault.New(fault.InvalidRequest, "The command was started without stdin.")
	}
	j.input.Add(int64(len(data)))
	j.stdinMu.Lock()
	defer j.stdinMu.Unlock()
	if len(data) > 0 {
		j.lastTyped = data[len(data)-1]
	}
	_, _ = j.stdin.Write(data)
	return nil
}

// EndStdin closes stdin; on a terminal it types the end-of-file character.
func (j *Job) EndStdin() error {
	if j.stdin == nil {
		return fault.New(fault.InvalidRequest, "The command was started without stdin.")
	}
	j.stdinMu.Lock()
	defer j.stdinMu.Unlock()
	if j.tty == nil {
		j.stdin.Close()
		return nil
	}
	end := []byte{4}
	if j.lastTyped != 0 && j.lastTyped != '\n' && j.lastTyped != '\r' && j.lastTyped != 4 {
		end = []byte{4, 4} // the first ends the unfinished line, the second the input
	}
	j.lastTyped = 4
	_, _ = j.stdin.Write(end)
	return nil
}

// Resize sets the size of the terminal.
func (j *Job) Resize(size Size) error {
	if err := size.check(); err != nil {
		return err
	}
	if j.tty == nil {
		return fault.New(fault.InvalidRequest, "The command was started without a terminal.")
	}
	if conn, err := j.tty.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = setSize(fd, size) })
	}
	return nil
}

// Signal sends a signal by name to the command, or to its whole process group. An ended command is fine.
func (j *Job) Signal(name string, group bool) error {
	signal, ok := signals[name]
	if !ok {
		return fault.New(fault.InvalidRequest, "%q is not a signal.", name)
	}
	err := j.kill(signal, group)
	if err == syscall.EPERM {
		return fault.New(fault.PermissionDenied, "boxd may not signal process %d.", j.info.Pid)
	}
	return nil
}

// kill signals while the reaper is held off, so that the process id cannot have been given to another process meanwhile.
func (j *Job) kill(signal syscall.Signal, group bool) error {
	j.table.reaping.RLock()
	defer j.table.reaping.RUnlock()
	j.mu.Lock()
	reaped := j.reaped
	j.mu.Unlock()
	pid := j.info.Pid
	if reaped {
		// The number of a group stays taken as long as it has members. A process of that very number is a new one, so the
		// group is gone and its number was used again.
		if !group || syscall.Kill(pid, 0) != syscall.ESRCH {
			return nil
		}
	}
	if group {
		return syscall.Kill(-pid, signal)
	}
	return syscall.Kill(pid, signal)
}

// expire ends a command that took too long, with all its group.
func (j *Job) expire() {
	j.mu.Lock()
	if j.exit != nil {
		j.mu.Unlock()
		return
	}
	j.timedOut = true
	j.mu.Unlock()
	_ = j.kill(syscall.SIGTERM, true)
	_ = j.kill(syscall.SIGCONT, true)
	time.AfterFunc(killDelay, func() { _ = j.kill(syscall.SIGKILL, true) })
}
