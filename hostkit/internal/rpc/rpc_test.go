package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/errno"
)

// talk serves operations and returns what speaks with them.
type talk struct {
	t     *testing.T
	in    *io.PipeWriter
	out   *bufio.Reader
	ended chan error
}

func start(t *testing.T, operations map[string]Operation) *talk {
	in, client := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(in, out, operations) }()
	t.Cleanup(func() { _ = client.Close() })
	return &talk{t, client, bufio.NewReader(answers), ended}
}

func (k *talk) send(line string) {
	k.t.Helper()
	if _, err := io.WriteString(k.in, line+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) receive() response {
	k.t.Helper()
	line, err := k.out.ReadBytes('\n')
	if err != nil {
		k.t.Fatal(err)
	}
	var r response
	if err := json.Unmarshal(line, &r); err != nil {
		k.t.Fatalf("%s: %v", line, err)
	}
	return r
}

func echo(_ context.Context, args json.RawMessage) (any, error) { return args, nil }

func block(ctx context.Context, _ json.RawMessage) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAnswersInAnyOrderAndEndsWithTheInput(t *testing.T) {
	release := make(chan struct{})
	k := start(t, map[string]Operation{
		"echo": {Do: echo},
		"late": {Do: func(context.Context, json.RawMessage) (any, error) {
			<-release
			return "late", nil
		}},
	})
	k.send(`{"id":1,"op":"late"}`)
	k.send(`{"id":2,"op":"echo","args":{"a":1}}`)
	if r := k.receive(); r.ID != 2 || !r.OK {
		t.Fatalf("the quick one should be first: %+v", r)
	}
	close(release)
	if r := k.receive(); r.ID != 1 || r.Result != "late" {
		t.Fatalf("%+v", r)
	}
	_ = k.in.Close()
	if err := <-k.ended; err != nil {
		t.Fatal(err)
	}
}

func TestRefusesWhatIsNoRequest(t *testing.T) {
	k := start(t, map[string]Operation{"echo": {Do: echo}})
	for line, wanted := range map[string]string{
		`{"id":1,"op":"none"}`:       "there is no operation",
		`[1]`:                        "not a request",
		`{"id":1,`:                   "not a request",
		strings.Repeat("x", maxLine): "longer than 1 MiB",
		strings.Repeat(`{"id":3,"op":"echo"}`, 100_000): "longer than 1 MiB",
	} {
		k.send(line)
		r := k.receive()
		if r.OK || r.Error == nil || r.Error.Code != "invalid" || !strings.Contains(r.Error.Message, wanted) {
			t.Errorf("%.40s: %+v", line, r.Error)
		}
	}
	// The stream goes on at the next line.
	k.send(`{"id":4,"op":"echo","args":7}`)
	if r := k.receive(); r.ID != 4 || r.Result != float64(7) {
		t.Fatalf("%+v", r)
	}
}

func TestErrorsCarryTheirErrno(t *testing.T) {
	fail := func(err error) Operation {
		return Operation{Do: func(context.Context, json.RawMessage) (any, error) { return nil, err }}
	}
	k := start(t, map[string]Operation{
		"EBUSY":        fail(syscall.EBUSY),
		"invalid":      fail(errno.Invalidf("no")),
		"missing_tool": fail(errno.MissingTool{Program: "x"}),
		"failed":       fail(errors.New("something else")),
	})
	for _, code := range []string{"EBUSY", "invalid", "missing_tool", "failed"} {
		k.send(`{"id":1,"op":"` + code + `"}`)
		if r := k.receive(); r.OK || r.Error.Code != code {
			t.Errorf("%s: %+v", code, r.Error)
		}
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	k := start(t, map[string]Operation{
		"panic": {Do: func(context.Context, json.RawMessage) (any, error) { panic("oh") }},
		"echo":  {Do: echo},
	})
	k.send(`{"id":1,"op":"panic"}`)
	if r := k.receive(); r.OK || r.Error.Code != "failed" || !strings.Contains(r.Error.Message, "oh") {
		t.Fatalf("%+v", r)
	}
	k.send(`{"id":2,"op":"echo"}`)
	if r := k.receive(); !r.OK {
		t.Fatalf("%+v", r)
	}
}

func TestCancelEndsTheOneThatIsNamed(t *testing.T) {
	k := start(t, map[string]Operation{"block": {Do: block}})
	k.send(`{"id":1,"op":"block"}`)
	k.send(`{"id":2,"op":"block"}`)
	k.send(`{"id":3,"op":"cancel","args":{"id":2}}`)
	seen := map[int64]response{}
	for len(seen) < 2 {
		r := k.receive()
		seen[r.ID] = r
	}
	if !seen[3].OK || seen[2].OK || seen[2].Error.Code != "ECANCELED" {
		t.Fatalf("%+v", seen)
	}
	// What is answered already, or never was, is fine.
	k.send(`{"id":4,"op":"cancel","args":{"id":2}}`)
	if r := k.receive(); !r.OK {
		t.Fatalf("%+v", r)
	}
	// The first one is still there: its number is taken.
	k.send(`{"id":1,"op":"block"}`)
	if r := k.receive(); r.OK || r.Error.Code != "invalid" {
		t.Fatalf("%+v", r)
	}
}

func TestALaneHoldsBackAndOthersPass(t *testing.T) {
	var running, most int32
	lane := NewLane(2)
	entered, step := make(chan struct{}), make(chan struct{})
	k := start(t, map[string]Operation{
		"work": {Lane: lane, Do: func(context.Context, json.RawMessage) (any, error) {
			now := atomic.AddInt32(&running, 1)
			for {
				seen := atomic.LoadInt32(&most)
				if now <= seen || atomic.CompareAndSwapInt32(&most, seen, now) {
					break
				}
			}
			entered <- struct{}{}
			<-step
			atomic.AddInt32(&running, -1)
			return nil, nil
		}},
		"stuck": {Lane: lane, Do: block},
		"echo":  {Do: echo},
	})
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		k.send(`{"id":` + id + `,"op":"work"}`)
	}
	k.send(`{"id":9,"op":"echo"}`)
	if r := k.receive(); r.ID != 9 {
		t.Fatalf("an operation without a lane should not wait: %+v", r)
	}
	<-entered
	<-entered
	for i := 0; i < 5; i++ {
		step <- struct{}{}
		if i < 3 {
			<-entered
		}
		if r := k.receive(); !r.OK {
			t.Fatalf("%+v", r)
		}
	}
	if most != 2 {
		t.Errorf("%d ran at once in a lane of 2", most)
	}
	// One that waits for its place can be cancelled, and takes none.
	k.send(`{"id":10,"op":"stuck"}`)
	k.send(`{"id":11,"op":"stuck"}`)
	k.send(`{"id":12,"op":"stuck"}`)
	k.send(`{"id":13,"op":"cancel","args":{"id":12}}`)
	for seen := 0; seen < 2; seen++ {
		if r := k.receive(); r.ID != 12 && r.ID != 13 {
			t.Fatalf("%+v", r)
		}
	}
}
