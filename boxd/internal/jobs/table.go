// Package jobs runs commands: it owns the process table of the box, keeps what each command printed and how it ended, and
// lets any number of clients listen.
package jobs

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

const (
	keptEnded        = 256
	defaultKeptBytes = 64 << 20
	maxRunning       = 1024
	// TimeFormat is RFC 3339 with milliseconds.
	TimeFormat = "2006-01-02T15:04:05.000Z07:00"
)

// Defaults apply to each command that does not say otherwise.
type Defaults struct {
	Env  map[string]string `json:"env"`
	User string            `json:"user"`
	Cwd  string            `json:"cwd"`
}

// Table is all commands of the box.
type Table struct {
	users *users.DB
	// reapAll: every child that ends is ours to wait for, also orphans.
	reapAll bool
	// reaping is held for reading while process ids must stay what they are.
	reaping sync.RWMutex

	mu       sync.Mutex
	defaults Defaults
	byID     map[string]*Job
	byPid    map[int]*Job
	order    []*Job // as they started
	ended    []*Job // as they ended
	running  int
	// keptBytes bounds the output kept of all ended commands together.
	keptBytes int
	closed    bool
}

// NewTable makes an empty table. With reapAll it also waits for children that others left to this process.
func NewTable(db *users.DB, defaultUser string, reapAll bool) *Table {
	return &Table{
		users: db, reapAll: reapAll, defaults: Defaults{User: defaultUser},
		byID: map[string]*Job{}, byPid: map[int]*Job{}, keptBytes: defaultKeptBytes,
	}
}

// Users gives the users of the box.
func (t *Table) Users() *users.DB { return t.users }

// Defaults gives what applies now.
func (t *Table) Defaults() Defaults {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.defaults
}

// Configure replaces the defaults that are named.
func (t *Table) Configure(env map[string]string, user, cwd *string) error {
	if err := CheckEnv(env); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if env != nil {
		t.defaults.Env = env
	}
	if user != nil && *user != "" {
		t.defaults.User = *user
	}
	if cwd != nil {
		t.defaults.Cwd = *cwd
	}
	return nil
}

// List gives all commands, oldest first.
func (t *Table) List() []Info {
	t.mu.Lock()
	jobs := append([]*Job(nil), t.order...)
	t.mu.Unlock()
	infos := make([]Info, len(jobs))
	for i, job := range jobs {
		infos[i] = job.Info()
	}
	return infos
}

// Get finds a command.
func (t *Table) Get(id string) (*Job, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if job, ok := t.byID[id]; ok {
		return job, nil
	}
	return nil, fault.New(fault.JobNotFound, "The box knows no job %q.", id)
}

// Delete forgets a command that has ended.
func (t *Table) Delete(id string) error {
	job, err := t.Get(id)
	if err != nil {
		return err
	}
	job.mu.Lock()
	ended := job.ended
	job.mu.Unlock()
	if !ended {
		return fault.New(fault.FileConflict, "The job %s still runs.", id)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(job)
	return nil
}

func (t *Table) forget(job *Job) {
	delete(t.byID, job.info.ID)
	t.order = without(t.order, job)
	t.ended = without(t.ended, job)
}

func without(jobs []*Job, job *Job) []*Job {
	for i, other := range jobs {
		if other == job {
			return append(jobs[:i:i], jobs[i+1:]...)
		}
	}
	return jobs
}

// admit counts a command that is about to start.
func (t *Table) admit() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fault.New(fault.WrongState, "The box is shutting down.")
	}
	if t.running >= maxRunning {
		return fault.New(fault.LimitReached, "%d commands run in this box already.", maxRunning)
	}
	t.running++
	return nil
}

func (t *Table) release() {
	t.mu.Lock()
	t.running--
	t.mu.Unlock()
}

func (t *Table) register(job *Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[job.info.ID] = job
	t.byPid[job.info.Pid] = job
	t.order = append(t.order, job)
}

// jobEnded keeps the table within its bounds: those that ended first go first.
func (t *Table) jobEnded(job *Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if t.byID[job.info.ID] == nil {
		return // deleted already
	}
	t.ended = append(t.ended, job)
	for len(t.ended) > keptEnded {
		t.forget(t.ended[0])
	}
	total := 0
	for i := len(t.ended) - 1; i >= 0; i-- {
		total += t.ended[i].keepWithin(t.keptBytes - total)
	}
}

// alive gives every job whose process was not waited for yet.
func (t *Table) alive() map[int]*Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	alive := make(map[int]*Job, len(t.byPid))
	for pid, job := range t.byPid {
		alive[pid] = job
	}
	return alive
}

func (t *Table) takePid(pid int) *Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	job := t.byPid[pid]
	delete(t.byPid, pid)
	return job
}

// Reap waits for every child that has ended and tells its job. Call it after each SIGCHLD.
func (t *Table) Reap() {
	if t.reapAll {
		for t.reapOne(-1) {
		}
		return
	}
	// A command that is just being started may have ended already: wait until it is known.
	t.reaping.Lock()
	alive := t.alive()
	t.reaping.Unlock()
	for pid := range alive {
		t.reapOne(pid)
	}
}

// reapOne holds off forks meanwhile: otherwise a command could end before its job is known.
func (t *Table) reapOne(which int) bool {
	t.reaping.Lock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(which, &status, syscall.WNOHANG, nil)
	for err == syscall.EINTR {
		pid, err = syscall.Wait4(which, &status, syscall.WNOHANG, nil)
	}
	var job *Job
	if err == nil && pid > 0 {
		if job = t.takePid(pid); job != nil {
			job.mu.Lock()
			job.reaped = true
			job.mu.Unlock()
		}
	}
	t.reaping.Unlock()
	if job != nil {
		job.processEnded(status)
	}
	return err == nil && pid > 0
}

func newID() string {
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // the kernel always has random bytes
	}
	return hex.EncodeToString(id[:])
}
