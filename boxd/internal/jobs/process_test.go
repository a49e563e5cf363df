package jobs

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

func output(j *Job) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var text strings.Builder
	for _, chunk := range j.output(j.ring.first, 1<<30, false).Chunks {
		text.Write(chunk.Base64)
	}
	return text.String()
}

// pids waits for a command that prints so many process ids.
func pids(t *testing.T, job *Job, count int) []int {
	t.Helper()
	eventually(t, "it prints process ids", func() bool { return len(strings.Fields(output(job))) == count })
	var list []int
	for _, text := range strings.Fields(output(job)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

// gone says that a process has ended: it is not there, or waits for whoever has to take note.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat[strings.LastIndexByte(string(stat), ')'):]), ") Z")
}

func TestTimeLimitKillsTheWholeGroup(t *testing.T) {
	spec := sh("sleep 1000 & echo $!; echo $$; wait")
	spec.TimeoutMs = 300
	job := start(t, newTable(t), spec)
	processes := pids(t, job, 2)
	exit := waitExit(t, job)
	if !exit.TimedOut || exit.Signal == nil || *exit.Signal != "SIGTERM" {
		t.Fatal(show(exit))
	}
	for _, pid := range processes {
		pid := pid
		eventually(t, "every process of the group ends", func() bool { return gone(pid) })
	}
}

func TestTimeLimitKillsWhatIgnoresIt(t *testing.T) {
	spec := sh("trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done")
	spec.TimeoutMs = 200
	job := start(t, newTable(t), spec)
	child := pids(t, job, 1)[0]
	exit := waitExit(t, job)
	if !exit.TimedOut || exit.Signal == nil || *exit.Signal != "SIGKILL" {
		t.Fatal(show(exit))
	}
	eventually(t, "the child ends too", func() bool { return gone(child) })
}

func TestTimeLimitKillsWhatTheLeaderLeftBehind(t *testing.T) {
	// The leader ends by SIGTERM at once; its child ignores it and must not live on.
	spec := sh("(trap '' TERM; echo ready; while :; do sleep 1000; done) & echo $!; wait")
	spec.TimeoutMs = 300
	job := start(t, newTable(t), spec)
	waitExit(t, job)
	var child int
	for _, word := range strings.Fields(output(job)) {
		if pid, err := strconv.Atoi(word); err == nil {
			child = pid
		}
	}
	if child == 0 {
		t.Fatalf("no child in %q", output(job))
	}
	eventually(t, "the child ends too", func() bool { return gone(child) })
}

func TestNoTimeLimitWhenItEndsInTime(t *testing.T) {
	spec := sh("exit 0")
	spec.TimeoutMs = 60_000
	if _, _, exit := run(t, newTable(t), spec); exit.TimedOut {
		t.Fatal(show(exit))
	}
}

func TestSignals(t *testing.T) {
	table := newTable(t)
	job := start(t, table, sh("trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"))
	eventually(t, "it is ready", func() bool { return strings.Contains(output(job), "ready") })
	if err := job.Signal("SIGUSR1", false); err != nil {
		t.Fatal(err)
	}
	wantExit(t, waitExit(t, job), 5)
	if err := job.Signal("SIGUSR1", true); err != nil {
		t.Fatalf("signalling an ended command: %v", err)
	}
	wantCode(t, job.Signal("SIGNONE", true), fault.InvalidRequest)
}

func TestSignalReachesTheGroup(t *testing.T) {
	job := start(t, newTable(t), sh("sleep 1000 & echo $!; wait"))
	child := pids(t, job, 1)[0]
	if err := job.Signal("SIGKILL", true); err != nil {
		t.Fatal(err)
	}
	waitExit(t, job)
	eventually(t, "the child ends", func() bool { return gone(child) })
}

func TestSignalAfterTheEndDoesNotReachAnotherProcess(t *testing.T) {
	table := newTable(t)
	job := start(t, table, sh("true"))
	waitExit(t, job)
	// As if the number had been given to another command meanwhile.
	other := start(t, table, sh("sleep 1000"))
	job.info.Pid = other.info.Pid
	if err := job.Signal("SIGKILL", true); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if other.Info().Exit != nil || !exists(other.info.Pid) {
		t.Fatal("another command was killed")
	}
}

func TestBackgroundChildDoesNotHoldUpTheExit(t *testing.T) {
	job := start(t, newTable(t), sh("sleep 1000 & echo $!; echo done"))
	wantExit(t, waitExit(t, job), 0)
	if text := output(job); !strings.HasSuffix(text, "done\n") {
		t.Fatalf("%q", text)
	}
	child, err := strconv.Atoi(strings.Fields(output(job))[0])
	if err != nil {
		t.Fatal(err)
	}
	if gone(child) {
		t.Fatal("the background child was killed")
	}
	_ = job.Signal("SIGKILL", true)
	eventually(t, "the child ends", func() bool { return gone(child) })
}

func TestChattyBackgroundChildDoesNotHoldUpTheExit(t *testing.T) {
	job := start(t, newTable(t), sh("yes & exit 3"))
	wantExit(t, waitExit(t, job), 3)
	_ = job.Signal("SIGKILL", true)
}

func TestManyAtOnce(t *testing.T) {
	table := newTable(t)
	var jobs []*Job
	for i := 0; i < 100; i++ {
		jobs = append(jobs, start(t, table, sh(fmt.Sprintf("echo %d; exit %d", i, i))))
	}
	for i, job := range jobs {
		wantExit(t, waitExit(t, job), i)
		if text := output(job); text != fmt.Sprintf("%d\n", i) {
			t.Fatalf("command %d printed %q", i, text)
		}
	}
}

func TestTheLastThatEndedAreKept(t *testing.T) {
	table := newTable(t)
	first := start(t, table, Spec{Argv: []string{"sh", "-c", "read line"}, Cwd: "/", Stdin: true})
	for i := 0; i < keptEnded+4; i++ {
		waitExit(t, start(t, table, Spec{Argv: []string{"true"}, Cwd: "/"}))
	}
	if err := first.EndStdin(); err != nil {
		t.Fatal(err)
	}
	waitExit(t, first)
	eventually(t, "the oldest are forgotten", func() bool { return len(table.List()) == keptEnded })
	// It started first and ended last.
	if _, err := table.Get(first.info.ID); err != nil {
		t.Fatal(err)
	}
}

func TestOutputOfEndedCommandsIsBounded(t *testing.T) {
	table := newTable(t)
	table.keptBytes = 300 << 10
	var jobs []*Job
	for i := 0; i < 4; i++ {
		jobs = append(jobs, start(t, table, sh("head -c 100000 /dev/zero")))
		waitExit(t, jobs[i])
	}
	eventually(t, "the oldest output is dropped", func() bool {
		return jobs[0].Info().FirstOffset == 100_000 && jobs[3].Info().FirstOffset == 0
	})
}

func TestDelete(t *testing.T) {
	table := newTable(t)
	job := start(t, table, sh("sleep 1000"))
	wantCode(t, table.Delete(job.info.ID), fault.FileConflict)
	_ = job.Signal("SIGKILL", true)
	waitExit(t, job)
	if err := table.Delete(job.info.ID); err != nil {
		t.Fatal(err)
	}
	_, err := table.Get(job.info.ID)
	wantCode(t, err, fault.JobNotFound)
}

func TestShutdownEndsEverything(t *testing.T) {
	table := newTable(t)
	polite := start(t, table, sh("sleep 1000 & echo $!; trap 'exit 9' TERM; while :; do sleep 0.05; done"))
	stubborn := start(t, table, sh("trap '' TERM; echo $$; while :; do sleep 1000; done"))
	processes := append(pids(t, polite, 1), pids(t, stubborn, 1)...)
	table.Shutdown(200 * time.Millisecond)
	for _, pid := range processes {
		if !gone(pid) {
			t.Fatalf("process %d is still there", pid)
		}
	}
	wantExit(t, waitExit(t, polite), 9)
	_, _, err := table.Start(sh("true"), false)
	wantCode(t, err, fault.WrongState)
}

func TestOrphansAreReaped(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "BOXD_TEST_ORPHANS=1")
	text, err := command.CombinedOutput()
	if err != nil || string(text) != "exit 4, no child left\n" {
		t.Fatalf("%v: %s", err, text)
	}
}

// orphans runs in a process of its own, which adopts orphans as process 1 does.
func orphans() {
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		fmt.Println(errno)
		return
	}
	table := NewTable(users.System(), strconv.Itoa(os.Getuid()), true)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			table.Reap()
		}
	}()
	job, _, err := table.Start(sh("for i in 1 2 3 4 5; do (sleep 0.2 &) ; done >/dev/null 2>&1; exit 4"), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	adopted := false
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		children := descendants(os.Getpid())
		exit := job.Info().Exit
		adopted = adopted || (exit != nil && len(children) > 0)
		if exit != nil && adopted && len(children) == 0 {
			fmt.Printf("exit %d, no child left\n", *exit.ExitCode)
			return
		}
	}
	fmt.Println("children are left:", descendants(os.Getpid()))
}

func TestInputIsCountedAlsoWhileItWaits(t *testing.T) {
	job := start(t, newTable(t), Spec{Argv: []string{"sh", "-c", "sleep 0.3; cat > /dev/null"}, Stdin: true})
	go func() { _ = job.WriteStdin(make([]byte, 300_000)) }()
	eventually(t, "what waits for a full pipe counts", func() bool { return job.Info().InputBytes == 300_000 })
	if err := job.EndStdin(); err != nil {
		t.Fatal(err)
	}
	waitExit(t, job)
	if got := job.Info().InputBytes; got != 300_000 {
		t.Fatalf("%d bytes", got)
	}
}
