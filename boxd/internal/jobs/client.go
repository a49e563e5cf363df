package jobs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/frames"
)

const (
	// sendBytes is the most output in one frame.
	sendBytes  = 256 << 10
	stdinBytes = 32 << 10
)

// Client is one who listens to a command. As long as it is attached nothing from its cursor on is overwritten.
type Client struct {
	job    *Job
	asked  int64
	cursor int64
}

// Attach lets a client listen from an offset; a negative one means the oldest byte that is kept.
func (j *Job) Attach(offset int64) (*Client, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if offset > j.ring.next {
		return nil, beyond(offset, j.ring.next)
	}
	return j.join(offset), nil
}

func beyond(offset, printed int64) error {
	return fault.New(fault.InvalidRequest, "Offset %d is beyond the %d bytes that the command has printed.", offset, printed)
}

func (j *Job) join(offset int64) *Client {
	client := &Client{job: j, asked: offset, cursor: offset}
	if client.cursor < j.ring.first {
		client.cursor = j.ring.first
	}
	if client.asked < 0 {
		client.asked = client.cursor
	}
	j.clients[client] = struct{}{}
	return client
}

// Leave forgets the client.
func (c *Client) Leave() {
	job := c.job
	job.mu.Lock()
	delete(job.clients, c)
	job.notify()
	alone := job.hangsUp && !job.ended && len(job.clients) == 0
	job.mu.Unlock()
	if alone {
		job.hangUp()
	}
}

type startedFrame struct {
	Job    Info  `json:"job"`
	Offset int64 `json:"offset"`
}

type gapFrame struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Serve speaks frames until the command has ended and all was sent, or the client leaves. preamble is written first, in one
// piece with the started frame.
func (c *Client) Serve(conn net.Conn, input *bufio.Reader, preamble []byte) {
	defer c.Leave()
	defer conn.Close()
	ctx, gone := context.WithCancel(context.Background())
	defer gone()
	first := append(preamble, frames.JSON(frames.Started, startedFrame{c.job.Info(), c.asked})...)
	if c.asked < c.cursor {
		first = append(first, frames.JSON(frames.Gap, gapFrame{c.asked, c.cursor})...)
	}
	if !send(conn, net.Buffers{first}) {
		return
	}
	var refused *fault.Error
	go func() {
		defer gone()
		if err := c.receive(input); !errors.As(err, &refused) {
			conn.Close() // it left: whatever is being sent is in vain
		}
	}()
	if c.stream(ctx, conn) {
		// Frames may still be on their way here. Closing before they were read would reset the connection, and the other side
		// could lose what it has not read.
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		select {
		case <-ctx.Done():
		case <-time.After(lingerTime):
		}
		return
	}
	<-ctx.Done()
	if refused != nil {
		send(conn, net.Buffers{ErrorFrame(refused)})
	}
}

// lingerTime is how long a client may take to close after the last frame.
const lingerTime = 2 * time.Second

// ErrorFrame is the last frame of a stream that failed.
func ErrorFrame(err *fault.Error) []byte {
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return frames.JSON(frames.Error, map[string]body{"error": {err.Code, err.Message}})
}

// stream sends output as it comes, then the exit. It is false when it ended before.
func (c *Client) stream(ctx context.Context, conn net.Conn) bool {
	job := c.job
	sent := 0
	for {
		job.mu.Lock()
		if c.cursor += int64(sent); sent > 0 {
			job.notify()
		}
		var stderr bool
		var data []byte
		if c.cursor < job.ring.next {
			stderr, data = job.ring.view(c.cursor, sendBytes)
		}
		ended, exit := job.ended, job.exit
		var changed <-chan struct{}
		if len(data) == 0 && !ended {
			changed = job.wait()
		}
		job.mu.Unlock()
		sent = len(data)
		switch {
		case len(data) > 0:
			kind := byte(frames.Stdout)
			if stderr {
				kind = frames.Stderr
			}
			header := frames.Header(kind, len(data))
			if !send(conn, net.Buffers{header[:], data}) {
				conn.Close()
				return false
			}
		case ended:
			return send(conn, net.Buffers{frames.JSON(frames.Exit, exit)})
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		}
		if ctx.Err() != nil {
			return false
		}
	}
}

// send writes all, for as long as the other side is there at all.
func send(conn net.Conn, buffers net.Buffers) bool {
	for {
		_ = conn.SetWriteDeadline(time.Now().Add(stallCheck))
		_, err := buffers.WriteTo(conn)
		if err == nil {
			return true
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || peerGone(conn) {
			return false
		}
	}
}

// receive takes frames from the client until it leaves. A half-closed connection counts as left.
func (c *Client) receive(input *bufio.Reader) error {
	for {
		kind, length, err := frames.ReadHeader(input)
		if err != nil {
			return err
		}
		switch kind {
		case frames.Stdin:
			err = c.receiveStdin(input, length)
		case frames.StdinEnd:
			if _, err = input.Discard(length); err == nil {
				err = c.job.EndStdin()
			}
		case frames.Resize:
			var size Size
			if err = frames.ReadJSON(input, length, &size); err == nil {
				err = c.job.Resize(size)
			}
		case frames.Signal:
			var request SignalRequest
			if err = frames.ReadJSON(input, length, &request); err == nil {
				err = c.job.Signal(request.Signal, request.WholeGroup())
			}
		default:
			err = fault.New(fault.InvalidRequest, "There is no frame of type %d to boxd.", kind)
		}
		if err != nil {
			return err
		}
	}
}

// receiveStdin passes a frame on in pieces, so that a stuck command holds little memory.
func (c *Client) receiveStdin(input io.Reader, length int) error {
	size := stdinBytes
	if length < size {
		size = length
	}
	piece := make([]byte, size)
	for length > 0 {
		if length < len(piece) {
			piece = piece[:length]
		}
		n, err := input.Read(piece)
		if err != nil {
			return err
		}
		length -= n
		if err := c.job.WriteStdin(piece[:n]); err != nil {
			return err
		}
	}
	return nil
}

// SignalRequest is the body of a signal; the whole group gets it unless group is false.
type SignalRequest struct {
	Signal string `json:"signal"`
	Group  *bool  `json:"group"`
}

// WholeGroup says who gets the signal.
func (r SignalRequest) WholeGroup() bool { return r.Group == nil || *r.Group }
