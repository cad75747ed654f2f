package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// frameBuffer is how many frames wait for the test before the reader stops reading, and with it the server's writes.
const frameBuffer = 2048

// Subprotocol is the contract's own; tickets may travel beside it.
const Subprotocol = "ackbox.v1"

// Dial says how to open a socket. LastSeq nil leaves the position to the server. Origin is empty for a client that is no browser.
type Dial struct {
	Device         string
	LastSeq        *int64
	LastID         MessageID
	Ticket         string // in the query
	TicketProtocol string // as the subprotocol ticket.<value>
	Origin         string
}

// Socket is an open push connection. One goroutine of its own reads until the connection ends; Close stops and awaits it.
type Socket struct {
	conn     *websocket.Conn
	protocol string
	frames   chan Frame
	stop     chan struct{}
	stopOnce sync.Once
	dropErr  error
	done     chan struct{}
	pongs    chan string
	err      error // why reading ended; to be read after done
}

// Connect opens a socket with the session's token.
func (s *Session) Connect(ctx context.Context, d Dial) (*Socket, error) {
	return s.client.Connect(ctx, s.AccessToken, d)
}

// Connect opens a socket; token may be empty. A refusal before the upgrade is a *Problem.
func (c *Client) Connect(ctx context.Context, token string, d Dial) (*Socket, error) {
	query := url.Values{}
	if d.Device != "" {
		query.Set("device_id", d.Device)
	}
	if d.LastSeq != nil {
		query.Set("last_seq", strconv.FormatInt(*d.LastSeq, 10))
	}
	if d.LastID != "" {
		query.Set("last_id", string(d.LastID))
	}
	if d.Ticket != "" {
		query.Set("ticket", d.Ticket)
	}
	return c.ConnectQuery(ctx, token, query, d)
}

// ConnectQuery is Connect with a query of the caller's making, for the queries that Connect can't make.
func (c *Client) ConnectQuery(ctx context.Context, token string, query url.Values, d Dial) (*Socket, error) {
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	if d.Origin != "" {
		header.Set("Origin", d.Origin)
	}
	dialer := websocket.Dialer{HandshakeTimeout: 20 * time.Second, Subprotocols: []string{Subprotocol}}
	if d.TicketProtocol != "" {
		dialer.Subprotocols = append(dialer.Subprotocols, "ticket."+d.TicketProtocol)
	}
	address := "ws" + strings.TrimPrefix(c.base, "http") + "/v1/ws?" + query.Encode()
	conn, resp, err := dialer.DialContext(ctx, address, header)
	if err != nil {
		return nil, refusal(resp, err)
	}
	conn.SetReadLimit(maxAnswer)
	s := &Socket{
		conn:     conn,
		protocol: conn.Subprotocol(),
		frames:   make(chan Frame, frameBuffer),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		pongs:    make(chan string, 1),
	}
	conn.SetPongHandler(func(data string) error {
		select {
		case s.pongs <- data:
		default:
		}
		return nil
	})
	go s.read()
	return s, nil
}

// refusal turns a failed upgrade into the problem that the server told, or the handshake's own error.
func refusal(resp *http.Response, err error) error {
	if resp == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return fmt.Errorf("dial: %w", err)
	}
	// gorilla has read (at most 1 KiB of) the body already.
	body, readErr := io.ReadAll(resp.Body)
	if readErr != nil {
		return fmt.Errorf("dial: %w", errors.Join(err, readErr))
	}
	problem, problemErr := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}.Problem()
	if problemErr != nil {
		return fmt.Errorf("dial: %w", problemErr)
	}
	return problem
}

func (s *Socket) read() {
	defer close(s.done)
	defer close(s.frames)
	for {
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			s.err = err
			return
		}
		frame := Frame{Raw: data}
		if kind != websocket.TextMessage {
			s.err = fmt.Errorf("frame of kind %d, want text", kind)
			return
		}
		if err := json.Unmarshal(data, &frame); err != nil {
			s.err = fmt.Errorf("decode frame %.200q: %w", data, err)
			return
		}
		select {
		case s.frames <- frame:
		case <-s.stop:
			s.err = errors.New("closed by the client")
			return
		}
	}
}

// Frames delivers what the server pushed, in order; it is closed when the connection has ended.
func (s *Socket) Frames() <-chan Frame { return s.frames }

// Protocol is the negotiated subprotocol.
func (s *Socket) Protocol() string { return s.protocol }

// Next is the next frame. It fails when the connection ended (see EndedWith) or ctx is done.
func (s *Socket) Next(ctx context.Context) (Frame, error) {
	select {
	case frame, ok := <-s.frames:
		if !ok {
			<-s.done
			return Frame{}, fmt.Errorf("connection ended: %w", s.err)
		}
		return frame, nil
	case <-ctx.Done():
		return Frame{}, fmt.Errorf("no frame: %w", ctx.Err())
	}
}

// EndedWith is the server's close code in the error of Next, or 0 if the connection ended without one.
func EndedWith(err error) int {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return 0
}

// WriteData sends a data frame, which the contract forbids.
func (s *Socket) WriteData(kind int, data []byte) error {
	if err := s.conn.WriteMessage(kind, data); err != nil {
		return fmt.Errorf("write a data frame: %w", err)
	}
	return nil
}

// Ping sends a protocol ping and waits for its pong.
func (s *Socket) Ping(ctx context.Context, data string) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Second)
	}
	if err := s.conn.WriteControl(websocket.PingMessage, []byte(data), deadline); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	for {
		select {
		case pong := <-s.pongs:
			if pong == data {
				return nil
			}
		case <-s.done:
			return fmt.Errorf("connection ended before the pong: %w", s.err)
		case <-ctx.Done():
			return fmt.Errorf("no pong: %w", ctx.Err())
		}
	}
}

// Drop cuts the connection without a close frame, as a lost network does, and waits for the reader. Again does nothing.
func (s *Socket) Drop() error {
	s.stopOnce.Do(func() {
		close(s.stop)
		s.dropErr = s.conn.Close()
	})
	<-s.done
	return s.dropErr
}

// Close says goodbye with 1000, if there still is somebody to say it to, then drops the connection.
func (s *Socket) Close() error {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	goodbye := s.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
	if goodbye != nil {
		return fmt.Errorf("say goodbye: %w", errors.Join(goodbye, s.Drop()))
	}
	return s.Drop()
}
