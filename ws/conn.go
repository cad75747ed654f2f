package ws

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"
)

// Conn is one connected socket. It fits service.Socket.
//
// A frame is offered to the kernel at once, by whoever pushes it and without waiting: on a
// socket that reads, a push is one system call and wakes no goroutine of this process. What the
// kernel has no room for waits in the Conn, and a goroutine that lives as long as something
// waits writes it, many frames in one call. (Measured against a write pump for each socket in
// docs/performance.md.)
type Conn struct {
	wire  wire
	owner Session // nil until it has joined; what cannot be written at once waits until then
}

// maxQueued is how many frames may wait before control frames (answers to a client's pings) are
// dropped. How many data frames wait the owner bounds: it counts what it pushes and what was written.
const maxQueued = 32

// Push takes frames, in order, and does not wait. Of the last `waits` of them the owner is told
// by Written when they have been written; the others have been. Not ok: the socket is closed.
func (c *Conn) Push(frames [][]byte) (waits int, ok bool) {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, false
	}
	return w.put(frames)
}

// Close sends a last frame, if there is one, and closes with a code. It does not
// wait, and only the first call does anything.
func (c *Conn) Close(last []byte, code int, reason string) {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed, w.ending = true, true
	if len(last) > 0 {
		if _, ok := w.put([][]byte{last}); !ok {
			return
		}
	}
	if err := w.control(appendFrame(nil, opClose, melody.FormatCloseMessage(code, reason))); err == nil && !w.flushing {
		w.cut()
	}
}

// Ping asks the other end for a sign of life, without waiting.
func (c *Conn) Ping() {
	if err := c.answer(opPing, nil); err != nil {
		c.wire.hub.log.Debug("ping", "error", err) // the reader notices
	}
}

// answer sends a control frame, unless too many frames wait already.
func (c *Conn) answer(op byte, payload []byte) error {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.queue) >= maxQueued { // a client that pings and does not read gets no pongs
		return nil
	}
	return w.control(appendFrame(make([]byte, 0, 2+len(payload)), op, payload))
}

// ended waits for the orderly end, if there is one, and the flush that makes it.
func (c *Conn) ended() {
	w := &c.wire
	w.mu.Lock()
	flushed := w.flushed
	waits := w.ending && w.flushing && c.owner != nil
	w.mu.Unlock()
	if waits {
		<-flushed
	}
}

// cut ends the connection with whatever waits.
func (c *Conn) cut() {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.wire.cut()
}

// wire is the connection below the WebSocket, as gorilla and melody read from it. It is the one
// writer of the connection.
type wire struct {
	net.Conn
	conn *Conn
	raw  syscall.RawConn // nil: its writes cannot be tried without waiting (TLS)
	hub  *Hub

	upgraded atomic.Bool // gorilla writes and closes no more
	mu       sync.Mutex
	closed   bool          // nothing more is taken
	ending   bool          // closed in order: the connection ends when everything is written
	flushing bool          // flush is at work: all frames go through the queue
	flushed  chan struct{} // closed when it has ended
	queue    []queued

	rest       []byte // what the kernel left of a write
	restFrames int    // the owner's frames in that write
}

// queued is a frame that waits.
type queued struct {
	data    []byte
	control bool // encoded already, and of no interest to the owner
}

// Of RFC 6455, section 5.2; a server does not mask.
const (
	opText  = 0x80 | websocket.TextMessage
	opClose = 0x80 | websocket.CloseMessage
	opPing  = 0x80 | websocket.PingMessage
	opPong  = 0x80 | websocket.PongMessage
)

// appendFrame appends a frame in one piece.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// writeSize is about how much goes into one write that does not wait, and flushSize into one that does:
// a slow reader is seen to read when one of those has been written.
const (
	writeSize = 64 << 10
	flushSize = 16 << 10
)

// attempt is one try to write without waiting.
type attempt struct {
	b   []byte
	n   int // bytes that the kernel took
	err error

	attempt func(fd uintptr) bool // a.write, kept so that a push makes no closure
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{b: make([]byte, 0, 1024)}
	a.attempt = a.write
	return a
}}

func (a *attempt) free() {
	if cap(a.b) <= 2*writeSize {
		attempts.Put(a)
	}
}

// put writes or queues text frames; the last `waits` of them were queued. The caller holds the lock.
func (w *wire) put(frames [][]byte) (waits int, ok bool) {
	if w.flushing || w.raw == nil {
		w.enqueue(frames)
		return len(frames), true
	}
	a, _ := attempts.Get().(*attempt)
	defer a.free()
	for len(frames) > 0 {
		a.b = a.b[:0]
		n := 0
		for n < len(frames) && (n == 0 || len(a.b)+len(frames[n]) < writeSize) {
			a.b = appendFrame(a.b, opText, frames[n])
			n++
		}
		if err := w.try(a); err != nil {
			return 0, false
		}
		if a.n < len(a.b) {
			w.rest, w.restFrames = append([]byte(nil), a.b[a.n:]...), n
			w.enqueue(frames[n:])
			return len(frames), true
		}
		frames = frames[n:]
	}
	return 0, true
}

// try offers a.b to the kernel. An error means that the connection is of no use any more; it is
// cut, which its reader notices. The caller holds the lock.
func (w *wire) try(a *attempt) error {
	a.n, a.err = 0, nil
	err := errors.Join(w.raw.Write(a.attempt), a.err)
	if err != nil {
		w.cut()
	}
	return err
}

// cut ends the connection with whatever waits. The caller holds the lock.
func (w *wire) cut() {
	w.closed, w.rest, w.queue = true, nil, nil
	if w.Conn == nil { // refused before the handshake
		return
	}
	conn := w.Conn
	if secure, is := conn.(*tls.Conn); is { // it would say goodbye, and wait up to 5 seconds for room: under the lock
		conn = secure.NetConn()
	}
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		w.hub.log.Debug("cutting a socket", "error", err)
	}
}

// enqueue leaves text frames to flush. The caller holds the lock.
func (w *wire) enqueue(frames [][]byte) {
	for _, frame := range frames {
		w.queue = append(w.queue, queued{data: frame})
	}
	w.startFlush()
}

func (w *wire) startFlush() {
	if w.flushing {
		return
	}
	w.flushing, w.flushed = true, make(chan struct{})
	if w.conn.owner != nil {
		w.hub.done.Go(w.flush)
	}
}

// joined says who is told of what was written from now on.
func (c *Conn) joined(owner Session) {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	c.owner = owner
	if w.flushing {
		w.hub.done.Go(w.flush)
	}
}

// control takes a frame that is encoded already. The caller holds the lock.
func (w *wire) control(frame []byte) error {
	if !w.flushing && w.raw != nil {
		a, _ := attempts.Get().(*attempt)
		defer a.free()
		a.b = append(a.b[:0], frame...)
		if err := w.try(a); err != nil || a.n == len(frame) {
			return err
		}
		frame = frame[a.n:]
	}
	w.queue = append(w.queue, queued{data: append([]byte(nil), frame...), control: true})
	w.startFlush()
	return nil
}

// Write takes the answer to the handshake from gorilla; see endPump.
func (w *wire) Write(answer []byte) (int, error) {
	if w.upgraded.Load() {
		return len(answer), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(answer), w.control(answer)
}

// Close closes the connection when its handshake failed; see endPump.
func (w *wire) Close() error {
	if w.upgraded.Load() {
		return nil
	}
	return w.Conn.Close()
}

// SetWriteDeadline has nothing to bound: Write does not wait, and flush has bounds of its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// flush writes what waits until nothing does.
func (w *wire) flush() {
	var b []byte
	for {
		w.mu.Lock()
		if len(w.rest) == 0 && len(w.queue) == 0 {
			w.flushing, w.queue = false, nil
			close(w.flushed)
			if w.ending {
				w.cut()
			} else if err := w.Conn.SetWriteDeadline(time.Time{}); err != nil { // of the tries to come
				w.cut()
			}
			w.mu.Unlock()
			return
		}
		var written int
		b, written = w.collect(b[:0])
		w.mu.Unlock()
		err := w.Conn.SetWriteDeadline(time.Now().Add(writeWait))
		if err == nil {
			_, err = w.Conn.Write(b)
		}
		if err != nil {
			w.mu.Lock()
			w.flushing = false
			close(w.flushed)
			w.cut()
			w.mu.Unlock()
			return
		}
		for range written {
			w.conn.owner.Written()
		}
	}
}

// collect takes what goes into the next write, and how many of the owner's frames that is.
func (w *wire) collect(b []byte) (collected []byte, frames int) {
	b, frames = append(b, w.rest...), w.restFrames
	w.rest, w.restFrames = nil, 0
	n := 0
	for n < len(w.queue) && (len(b) == 0 || len(b)+len(w.queue[n].data) < flushSize) {
		if q := w.queue[n]; q.control {
			b = append(b, q.data...)
		} else {
			b = appendFrame(b, opText, q.data)
			frames++
		}
		n++
	}
	w.queue = append(w.queue[:0], w.queue[n:]...)
	return b, frames
}

// hijacker lets gorilla upgrade a request onto a wire.
type hijacker struct {
	http.ResponseWriter
	wire *wire
}

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection over: %w", err)
	}
	h.wire.Conn = conn
	h.wire.raw = rawOf(conn)
	return h.wire, buffers, nil
}
