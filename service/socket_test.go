package service

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"ackbox/model"
)

// line is a socket whose other end reads when the test says so.
type line struct {
	mu     sync.Mutex
	frames [][]byte // in the socket's buffer
	pushed int      // frames ever
	full   bool     // more was pushed than the buffer holds
	closed bool
	code   int
	bye    []byte

	pushes func(frames [][]byte) // called before the next thing happens; nil: nothing
}

func (l *line) Push(frames [][]byte) (waits int, ok bool) {
	if l.pushes != nil {
		l.pushes(frames)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, false
	}
	l.frames = append(l.frames, frames...)
	l.full = l.full || len(l.frames) > socketFrames
	l.pushed += len(frames)
	return len(frames), true
}

// Ping is answered by a client's library, not by the client.
func (l *line) Ping() {}

func (l *line) Close(last []byte, code int, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed, l.code, l.bye = true, code, last
	}
}

func (l *line) state() (closed bool, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed, l.code
}

// read takes one frame out of the buffer, as the network does.
func (l *line) read() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.frames) == 0 {
		return nil
	}
	frame := l.frames[0]
	l.frames = l.frames[1:]
	return frame
}

// frame is any frame.
type frame struct {
	Type      string
	Seq       int64
	Attempt   int
	Head      int64
	UpTo      int64 `json:"up_to"`
	Acked     int64
	Floor     int64
	Reset     bool
	Code      int
	Kind      string
	UserID    model.UserID `json:"user_id"`
	Message   *model.Message
	RetryMS   int64 `json:"retry_after_ms"`
	Heartbeat int64 `json:"heartbeat_ms"`
}

func decodeFrame(t tester, text []byte) frame {
	t.Helper()
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatalf("frame %s: %v", text, err)
	}
	return f
}

// end is one connected device: a session of a node and the line to it.
type end struct {
	t       tester
	node    *node
	line    *line
	session *Session
}

// connect opens a socket, as the API does: where the device stands, then join.
func (n *node) connect(t tester, key model.DeviceKey, lastSeq *int64) *end {
	t.Helper()
	o, err := n.mailboxes.Open(within(t), key, 0, lastSeq, 0)
	must(t, err)
	return n.join(t, o)
}

func (n *node) join(t tester, o Opening) *end {
	t.Helper()
	if o.ExpiresAt.IsZero() {
		o.ExpiresAt = n.delivery.clock().Add(time.Hour)
	}
	e := &end{t: t, node: n, line: &line{}}
	e.session = n.delivery.Join(e.line, o)
	t.Cleanup(e.leave) // again, where the test did: changes nothing
	return e
}

// next reads one frame, waiting for it.
func (e *end) next() frame {
	e.t.Helper()
	var text []byte
	eventually(e.t, "a frame", func() bool { text = e.line.read(); return text != nil })
	e.session.Written()
	return decodeFrame(e.t, text)
}

// expect reads frames and compares them, in the form "message 3", "behind 120", "synced 7".
func (e *end) expect(want ...string) {
	e.t.Helper()
	for _, w := range want {
		f := e.next()
		got := f.Type
		switch f.Type {
		case "message":
			got = fmt.Sprint("message ", f.Seq)
			if f.Attempt > 1 {
				got += fmt.Sprint(" again ", f.Attempt)
			}
		case "behind", "ping":
			got = fmt.Sprint(f.Type, " ", f.Head)
		case "synced":
			got = fmt.Sprint("synced ", f.UpTo)
		case "hello":
			got = fmt.Sprint("hello ", f.Acked, " of ", f.Head)
		case "receipt":
			got = fmt.Sprint("receipt ", f.Kind, " ", f.UpTo)
		}
		if got != w {
			e.t.Fatalf("got frame %q, want %q", got, w)
		}
	}
}

// expectMessages reads the pushes from one seq to another, in order.
func (e *end) expectMessages(from, to int64) {
	e.t.Helper()
	for seq := from; seq <= to; seq++ {
		e.expect(fmt.Sprint("message ", seq))
	}
}

// silent: nothing more has been pushed, and nothing is going to be by what has happened.
func (e *end) silent() {
	e.t.Helper()
	e.node.settled(e.t)
	if text := e.line.read(); text != nil {
		e.t.Fatalf("one more frame: %s", text)
	}
}

// closedWith waits for the server to close, and answers its bye.
func (e *end) closedWith(code int) frame {
	e.t.Helper()
	eventually(e.t, "a close", func() bool { closed, _ := e.line.state(); return closed })
	_, got := e.line.state()
	equal(e.t, "close code", got, code)
	bye := decodeFrame(e.t, e.line.bye)
	if bye.Type != "bye" || bye.Code != code {
		e.t.Errorf("bye %s, want code %d", e.line.bye, code)
	}
	return bye
}

func (e *end) leave() {
	e.t.Helper()
	e.node.delivery.Leave(e.session)
}

// ack is an ack by REST.
func (e *end) ack(upTo int64) {
	e.t.Helper()
	_, err := e.node.acker.Ack(within(e.t), Ack{Key: e.session.Key, UpTo: &upTo})
	must(e.t, err)
}

// settled waits until no pump and no hole is at work.
func (n *node) settled(t tester) {
	t.Helper()
	eventually(t, "the pumps to rest", func() bool {
		quiet := true
		n.delivery.each(func(s *Session) {
			s.mu.Lock()
			defer s.mu.Unlock()
			quiet = quiet && !s.pumping && (s.state != stateLive || s.stash == nil)
		})
		return quiet
	})
}
