// Package rpc is the line protocol: one JSON object a line in, one a line out, in any order.
package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"gibil.dev/hostkit/internal/errno"
)

const (
	// maxLine bounds a request, so that a caller gone wrong cannot fill the memory.
	maxLine = 1 << 20
	// maxPending bounds the requests that are not answered yet; most of them watch a process and cost next to nothing.
	maxPending = 16384
)

// Operation is one thing that can be asked for.
type Operation struct {
	Do func(ctx context.Context, args json.RawMessage) (any, error)
	// Lane bounds how many of the operations that share it run at once; nil for one that only waits.
	Lane Lane
}

// Lane has a place for each operation that may run at once.
type Lane chan struct{}

// NewLane makes a lane with so many places.
func NewLane(places int) Lane { return make(Lane, places) }

func (l Lane) enter(ctx context.Context) error {
	if l == nil {
		return nil
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l Lane) leave() {
	if l != nil {
		<-l
	}
}

type request struct {
	ID   int64           `json:"id"`
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type response struct {
	ID     int64    `json:"id"`
	OK     bool     `json:"ok"`
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
	Micros int64    `json:"us"`
}

type server struct {
	operations map[string]Operation
	writing    sync.Mutex
	encoder    *json.Encoder
	lock       sync.Mutex
	pending    map[int64]context.CancelFunc
}

// Serve answers requests until the input ends. Requests run side by side. What still runs then is left to the end of the process.
func Serve(in io.Reader, out io.Writer, operations map[string]Operation) error {
	s := &server{operations: operations, encoder: json.NewEncoder(out), pending: map[int64]context.CancelFunc{}}
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(reader)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong):
			s.answer(response{Error: &failure{"invalid", err.Error()}})
			continue
		case err != nil:
			return err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			s.answer(response{Error: &failure{"invalid", "not a request: " + err.Error()}})
			continue
		}
		s.begin(r)
	}
}

func (s *server) answer(r response) {
	s.writing.Lock()
	defer s.writing.Unlock()
	// A caller that is gone shows as end of input; there is nobody to tell.
	_ = s.encoder.Encode(r)
}

func (s *server) begin(r request) {
	if r.Op == "cancel" {
		s.answer(s.cancel(r))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.register(r.ID, cancel); err != nil {
		cancel()
		s.answer(response{ID: r.ID, Error: &failure{errno.Code(err), err.Error()}})
		return
	}
	go func() {
		answer := s.handle(ctx, r)
		s.lock.Lock()
		delete(s.pending, r.ID)
		s.lock.Unlock()
		cancel()
		s.answer(answer)
	}()
}

func (s *server) register(id int64, cancel context.CancelFunc) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if _, taken := s.pending[id]; taken {
		return errno.Invalidf("request %d is not answered yet", id)
	}
	if len(s.pending) >= maxPending {
		return errno.TooMuch(fmt.Sprintf("%d requests are not answered yet", maxPending))
	}
	s.pending[id] = cancel
	return nil
}

// cancel ends the request that is named, where that request can be ended: it answers with ECANCELED.
func (s *server) cancel(r request) response {
	var args struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(r.Args, &args); err != nil {
		return response{ID: r.ID, Error: &failure{"invalid", "arguments: " + err.Error()}}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if cancel, found := s.pending[args.ID]; found {
		cancel()
	}
	return response{ID: r.ID, OK: true}
}

func (s *server) handle(ctx context.Context, r request) (answer response) {
	begin := time.Now()
	answer.ID = r.ID
	defer func() {
		if trouble := recover(); trouble != nil {
			answer.OK, answer.Result = false, nil
			answer.Error = &failure{"failed", fmt.Sprintf("panic in %s: %v\n%s", r.Op, trouble, debug.Stack())}
		}
		answer.Micros = time.Since(begin).Microseconds()
	}()
	operation, known := s.operations[r.Op]
	if !known {
		answer.Error = &failure{"invalid", fmt.Sprintf("there is no operation %q", r.Op)}
		return answer
	}
	result, err := func() (any, error) {
		if err := operation.Lane.enter(ctx); err != nil {
			return nil, err
		}
		defer operation.Lane.leave()
		return operation.Do(ctx, r.Args)
	}()
	if err != nil {
		answer.Error = &failure{errno.Code(err), err.Error()}
		return answer
	}
	answer.OK, answer.Result = true, result
	return answer
}

var errTooLong = errors.New("the line is longer than 1 MiB")

// readLine returns a copy of the next line; a line that is too long is read to its end and refused.
func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := reader.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			tooLong = true
			line = nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if tooLong {
			return nil, errTooLong
		}
		return line, nil
	}
}
