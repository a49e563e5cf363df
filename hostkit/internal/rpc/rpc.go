// Package rpc is the line protocol: one JSON object a line in, one a line out, in any order.
package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"gibil.dev/hostkit/internal/errno"
)

// maxLine bounds a request, so that a caller gone wrong cannot fill the memory.
const maxLine = 1 << 20

// Handler does one operation.
type Handler func(args json.RawMessage) (any, error)

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

// Serve answers requests until the input ends. Requests run side by side.
func Serve(in io.Reader, out io.Writer, handlers map[string]Handler) error {
	var writing sync.Mutex
	encoder := json.NewEncoder(out)
	answer := func(r response) {
		writing.Lock()
		defer writing.Unlock()
		// A caller that is gone shows as end of input; there is nobody to tell.
		_ = encoder.Encode(r)
	}
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(reader)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			answer(response{Error: &failure{"invalid", err.Error()}})
			if errors.Is(err, errTooLong) {
				continue
			}
			return err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			answer(response{Error: &failure{"invalid", "not a JSON object: " + err.Error()}})
			continue
		}
		go func() { answer(handle(r, handlers)) }()
	}
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
			line = line[:0]
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

func handle(r request, handlers map[string]Handler) (answer response) {
	begin := time.Now()
	answer.ID = r.ID
	defer func() {
		if trouble := recover(); trouble != nil {
			answer.OK, answer.Result = false, nil
			answer.Error = &failure{"failed", fmt.Sprintf("panic in %s: %v\n%s", r.Op, trouble, debug.Stack())}
		}
		answer.Micros = time.Since(begin).Microseconds()
	}()
	handler, known := handlers[r.Op]
	if !known {
		answer.Error = &failure{"invalid", fmt.Sprintf("there is no operation %q", r.Op)}
		return answer
	}
	result, err := handler(r.Args)
	if err != nil {
		answer.Error = &failure{errno.Code(err), err.Error()}
		return answer
	}
	answer.OK, answer.Result = true, result
	return answer
}
