package jobs

import (
	"context"
	"time"
)

// Chunk is a piece of output of one stream.
type Chunk struct {
	Stream string `json:"stream"`
	Offset int64  `json:"offset"`
	Base64 []byte `json:"base64"`
	// Ms is how long after its begin the command printed it. Told only where it was asked for: a chunk is then of one moment.
	Ms *int64 `json:"ms,omitempty"`
}

// Output is a part of what a command printed.
type Output struct {
	Chunks     []Chunk `json:"chunks"`
	NextOffset int64   `json:"nextOffset"`
	Lost       int64   `json:"lost"`
	Exit       *Exit   `json:"exit"`
}

// Output reads from an offset on, a negative one meaning the oldest byte that is kept, at most limit bytes. It waits so long for the first byte, or for the exit. The exit is told
// only together with the last byte. With timed, chunks say when they were printed.
func (j *Job) Output(ctx context.Context, offset int64, limit int, wait time.Duration, timed bool) (Output, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		j.mu.Lock()
		if offset < 0 {
			offset = j.ring.first
		}
		if printed := j.ring.next; offset > printed {
			j.mu.Unlock()
			return Output{}, beyond(offset, printed)
		}
		if offset < j.ring.next || j.ended || wait <= 0 {
			output := j.output(offset, limit, timed)
			j.mu.Unlock()
			return output, nil
		}
		changed := j.wait()
		j.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			wait = 0
		case <-ctx.Done():
			return Output{}, ctx.Err()
		}
	}
}

// output copies from the ring. The caller holds mu.
func (j *Job) output(offset int64, limit int, timed bool) Output {
	output := Output{Chunks: []Chunk{}, NextOffset: offset}
	if offset < j.ring.first {
		output.Lost = j.ring.first - offset
		output.NextOffset = j.ring.first
	}
	// Chunks cost more than their bytes, so there is a bound on them too.
	for limit > 0 && output.NextOffset < j.ring.next && len(output.Chunks) < maxChunks {
		most := limit
		var ms int64
		if timed {
			var until int64
			if ms, until = j.times.of(output.NextOffset); until > 0 && until-output.NextOffset < int64(most) {
				most = int(until - output.NextOffset)
			}
		}
		stderr, data := j.ring.view(output.NextOffset, most)
		chunk := Chunk{Stream: "stdout", Offset: output.NextOffset, Base64: append([]byte(nil), data...)}
		if timed {
			chunk.Ms = &ms
		}
		if stderr {
			chunk.Stream = "stderr"
		}
		output.Chunks = append(output.Chunks, chunk)
		output.NextOffset += int64(len(data))
		limit -= len(data)
	}
	if j.ended && output.NextOffset >= j.ring.next {
		output.Exit = j.exit
	}
	return output
}

const maxChunks = 4096
