package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"testing"
)

// FuzzServe takes any input as requests: each line that is answered is answered with one line of JSON, and nothing panics.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"echo","args":{}}` + "\n"))
	f.Add([]byte(`{"id":1,"op":"panic"}` + "\n" + `{"id":1,"op":"cancel","args":{"id":1}}` + "\n"))
	f.Add([]byte("\n\n{\n[]\nnull\n\"x\"\n{\"id\":1e99}\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var out lockedBuffer
		operations := map[string]Operation{
			"echo":  {Do: func(_ context.Context, args json.RawMessage) (any, error) { return string(args), nil }},
			"panic": {Do: func(context.Context, json.RawMessage) (any, error) { panic("on purpose") }},
		}
		if err := Serve(bytes.NewReader(input), &out, operations); err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(bytes.TrimSpace(out.bytes()), []byte("\n")) {
			if len(line) > 0 && !json.Valid(line) {
				t.Fatalf("an answer that is not JSON: %q", line)
			}
		}
	})
}

// lockedBuffer is written to by answers that come side by side, also after the input has ended.
type lockedBuffer struct {
	lock   sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) bytes() []byte {
	b.lock.Lock()
	defer b.lock.Unlock()
	return append([]byte{}, b.buffer.Bytes()...)
}
