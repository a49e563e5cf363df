package procs

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}

func TestEachWaiterHearsOfItsOwn(t *testing.T) {
	const count = 50
	commands, ended := make([]*exec.Cmd, count), make([]chan error, count)
	for i := range commands {
		commands[i], ended[i] = sleeper(t), make(chan error, 1)
		go func(i int) { ended[i] <- Wait(context.Background(), commands[i].Process.Pid) }(i)
	}
	for i := count - 1; i >= 0; i-- {
		select {
		case <-ended[i]:
			t.Fatalf("%d is still running", i)
		default:
		}
		_ = commands[i].Process.Kill()
		// Not reaped yet: its end counts all the same.
		if err := <-ended[i]; err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsGoneHasEnded(t *testing.T) {
	command := sleeper(t)
	_ = command.Process.Kill()
	_ = command.Wait()
	if err := Wait(context.Background(), command.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := Wait(context.Background(), 0); err == nil {
		t.Error("0 is no process")
	}
}

func TestGivingUpLeavesTheOthers(t *testing.T) {
	command := sleeper(t)
	stays := make(chan error, 1)
	go func() { stays <- Wait(context.Background(), command.Process.Pid) }()
	for i := 0; i < 100; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		gaveUp := make(chan error, 1)
		go func() { gaveUp <- Wait(ctx, command.Process.Pid) }()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	select {
	case err := <-stays:
		t.Fatalf("released: %v", err)
	default:
	}
	_ = command.Process.Kill()
	if err := <-stays; err != nil {
		t.Fatal(err)
	}
	watcher.Lock()
	defer watcher.Unlock()
	if len(watcher.waiting) != 0 {
		t.Errorf("%d are still watched", len(watcher.waiting))
	}
}
