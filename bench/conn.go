package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	readBufferSize = 4 << 10 // also the longest header line we take
	maxHeaderLines = 128
	maxAnswerSize  = 16 << 20
)

var (
	errHeaderTooLong  = errors.New("answer header too long")
	errAnswerTooLarge = fmt.Errorf("answer over %d bytes", maxAnswerSize)
	errMalformed      = errors.New("malformed HTTP answer")
)

// answer is what came back for one request. Body is valid until the connection's next request.
type answer struct {
	Status     int
	Body       []byte
	RetryAfter time.Duration // 0 when the server named none
}

// conn is one keep-alive HTTP/1.1 connection, dialled on first use and again after it broke. It writes a request with one
// system call and reuses its buffers. One goroutine at a time may use it; the context given to newConn closes it.
type conn struct {
	ctx     context.Context
	target  *target
	timeout time.Duration

	nc       net.Conn
	release  func() bool // unties nc from ctx
	deadline time.Time
	br       *bufio.Reader
	out      []byte
	body     []byte
}

func newConn(ctx context.Context, t *target, timeout time.Duration) *conn {
	return &conn{ctx: ctx, target: t, timeout: timeout}
}

// Do sends one request and reads its answer. An error means that the outcome is unknown (the connection is closed and the
// next Do dials again); the caller decides whether the request is safe to repeat.
func (c *conn) Do(method, path, token string, body []byte) (answer, error) {
	if err := c.ready(); err != nil {
		return answer{}, err
	}
	b := c.out[:0]
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, c.target.prefix...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.target.host...)
	b = append(b, "\r\nUser-Agent: ackbox-bench\r\nAccept: application/json\r\n"...)
	if token != "" {
		b = append(b, "Authorization: Bearer "...)
		b = append(b, token...)
		b = append(b, "\r\n"...)
	}
	if body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	b = append(b, body...)
	c.out = b
	if _, err := c.nc.Write(b); err != nil {
		c.Close()
		return answer{}, fmt.Errorf("write request: %w", err)
	}
	a, keep, err := c.read(method)
	if err != nil {
		c.Close()
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	if !keep {
		c.Close()
	}
	return a, nil
}

// Close ends the connection; a later Do dials a new one.
func (c *conn) Close() {
	if c.nc == nil {
		return
	}
	c.release()
	c.nc.Close() //nolint:errcheck // nothing is buffered for writing, and the peer may have gone already
	c.nc = nil
}

// ready dials if need be and moves the deadline, which is only touched when a quarter of it has passed: resetting it on
// every request costs a timer operation each.
func (c *conn) ready() error {
	if c.nc == nil {
		nc, err := c.target.dial(c.ctx)
		if err != nil {
			return fmt.Errorf("dial: %w", err)
		}
		c.nc, c.deadline = nc, time.Time{}
		c.release = context.AfterFunc(c.ctx, func() { nc.Close() }) //nolint:errcheck // it wakes a blocked Do, which reports the end
		if c.br == nil {
			c.br = bufio.NewReaderSize(nc, readBufferSize)
		} else {
			c.br.Reset(nc)
		}
	}
	if now := time.Now(); c.deadline.Sub(now) < c.timeout*3/4 {
		c.deadline = now.Add(c.timeout)
		if err := c.nc.SetDeadline(c.deadline); err != nil {
			c.Close()
			return fmt.Errorf("set deadline: %w", err)
		}
	}
	return nil
}

// read takes one answer (interim 1xx ones are skipped) and says whether the connection can carry another request.
func (c *conn) read(method string) (a answer, keep bool, err error) {
	for range maxHeaderLines {
		h, err := c.readHeader()
		if err != nil {
			return answer{}, false, err
		}
		if h.status >= 100 && h.status < 200 {
			continue
		}
		c.body = c.body[:0]
		switch {
		case method == "HEAD" || h.status == 204 || h.status == 304:
		case h.chunked:
			err = c.readChunks()
		case h.length >= 0:
			err = c.readN(h.length)
		default: // delimited by the end of the connection
			h.close = true
			err = c.readRest()
		}
		if err != nil {
			return answer{}, false, err
		}
		return answer{Status: h.status, Body: c.body, RetryAfter: h.retryAfter}, !h.close, nil
	}
	return answer{}, false, fmt.Errorf("%w: too many interim answers", errMalformed)
}

type header struct {
	status     int
	length     int64 // -1 when not given
	chunked    bool
	close      bool
	retryAfter time.Duration
}

func (c *conn) readHeader() (header, error) {
	h := header{length: -1}
	line, err := c.line()
	if err != nil {
		return h, err
	}
	// "HTTP/1.1 201 Created"; the reason may be missing.
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' || (len(line) > 12 && line[12] != ' ') {
		return h, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	status, ok := parseUint(line[9:12])
	if !ok || status < 100 {
		return h, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	h.status = int(status)
	h.close = line[7] == '0'
	for range maxHeaderLines {
		line, err := c.line()
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return h, fmt.Errorf("%w: header line %q", errMalformed, line)
		}
		value = bytes.TrimSpace(value)
		switch len(name) { // the length spares most headers the comparison
		case len("Content-Length"): // and Transfer-Encoding is longer
			if bytes.EqualFold(name, []byte("Content-Length")) {
				n, ok := parseUint(value)
				if !ok || (h.length >= 0 && h.length != n) {
					return h, fmt.Errorf("%w: content length %q", errMalformed, value)
				}
				h.length = n
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				if !bytes.EqualFold(value, []byte("chunked")) {
					return h, fmt.Errorf("%w: transfer encoding %q", errMalformed, value)
				}
				h.chunked = true
			}
		case len("Connection"): // == len("Retry-After") - 1
			if bytes.EqualFold(name, []byte("Connection")) {
				switch {
				case bytes.EqualFold(value, []byte("close")):
					h.close = true
				case bytes.EqualFold(value, []byte("keep-alive")):
					h.close = false
				}
			}
		case len("Retry-After"):
			if bytes.EqualFold(name, []byte("Retry-After")) {
				if n, ok := parseUint(value); ok && n < 1<<20 {
					h.retryAfter = time.Duration(n) * time.Second
				}
			}
		}
	}
	return h, errHeaderTooLong
}

// line returns the next line without its end, valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errHeaderTooLong
	}
	if err != nil {
		return nil, unexpected(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// readN appends exactly n bytes to the body.
func (c *conn) readN(n int64) error {
	have := len(c.body)
	if n > maxAnswerSize-int64(have) {
		return errAnswerTooLarge
	}
	want := have + int(n)
	if cap(c.body) < want {
		grown := make([]byte, have, max(want, 2*cap(c.body), 512))
		copy(grown, c.body)
		c.body = grown
	}
	c.body = c.body[:want]
	_, err := io.ReadFull(c.br, c.body[have:])
	return unexpected(err)
}

func (c *conn) readChunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte{';'}) // extensions mean nothing to us
		size = bytes.TrimSpace(size)
		n, err := strconv.ParseUint(string(size), 16, 63)
		if err != nil {
			return fmt.Errorf("%w: chunk size %q", errMalformed, line)
		}
		if n == 0 {
			return c.skipTrailer()
		}
		if n > maxAnswerSize {
			return errAnswerTooLarge
		}
		if err := c.readN(int64(n)); err != nil {
			return err
		}
		if line, err = c.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return fmt.Errorf("%w: chunk is longer than it says", errMalformed)
		}
	}
}

func (c *conn) skipTrailer() error {
	for range maxHeaderLines {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
	return errHeaderTooLong
}

func (c *conn) readRest() error {
	for {
		if len(c.body) == cap(c.body) {
			if len(c.body) >= maxAnswerSize {
				return errAnswerTooLarge
			}
			grown := make([]byte, len(c.body), max(512, 2*cap(c.body)))
			copy(grown, c.body)
			c.body = grown
		}
		n, err := c.br.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unexpected makes the end of the stream an error in the middle of an answer.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
