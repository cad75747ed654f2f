package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// memberDevice is the stable name of the one device that a member of the large group has.
const memberDevice = "log"

// member is one online member of the large group: the socket of its one device, and how far it is. It keeps the client's
// side of the contract: messages are applied in order of conversation_seq, known ones are dropped, gaps are pulled.
type member struct {
	hall *hall
	user *User
	seat *seat // read's own

	opened     chan struct{} // closed at the first hello
	ended      chan struct{} // closed when read has returned
	openedOnce sync.Once

	held    atomic.Int64 // highest conversation_seq held without a hole; written by read
	acked   atomic.Int64
	mailbox atomic.Int64 // highest seq of the mailbox, which a large group leaves empty
	turn    ackTurn
}

// read keeps the socket open and takes its frames until the context ends or the reconnects are used up.
func (m *member) read(ctx context.Context, i int) {
	defer close(m.ended)
	for attempt := range maxReconnects {
		select {
		case m.hall.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		query := url.Values{"device_id": {memberDevice}}
		if held := m.mailbox.Load(); held > 0 {
			query.Set("last_seq", strconv.FormatInt(held, 10))
		}
		socket, err := openPushSocket(ctx, m.user, query, m.user.target.source(i))
		<-m.hall.slots
		if err == nil {
			err = socket.serve(func(frame []byte) error { return m.frame(ctx, frame, since()) })
			socket.end()
		}
		if ctx.Err() != nil {
			return
		}
		m.hall.errors.add(closed(err))
		if pauseFor(ctx, rand.N(time.Duration(min(attempt+1, 10))*200*time.Millisecond)) != nil {
			return
		}
	}
}

func (m *member) frame(ctx context.Context, frame []byte, now time.Duration) error {
	switch string(frameType(frame)) {
	case "message":
		message, ok := rawField(frame, `"message"`)
		if !ok {
			return fmt.Errorf("frame without a message: %.200s", frame)
		}
		if seq, ok := seqField(frame[:len(frame)-len(message)]); ok { // a mailbox entry: not counted, but acked
			m.mailbox.Store(max(m.mailbox.Load(), seq))
			m.hall.wantAck(m)
			return nil
		}
		seq, ok := uintField(message, `"conversation_seq"`)
		if !ok {
			return fmt.Errorf("message without a conversation_seq: %.200s", frame)
		}
		switch held := m.held.Load(); {
		case seq <= held: // pushed again, or pulled already
			m.hall.repushed.Add(1)
			m.hall.wantAck(m)
		case seq > held+1:
			m.hall.disorder.Add(1)
			return m.catchUp(ctx)
		default:
			m.apply(seq, message, now)
		}
	case "behind":
		head, ok := uintField(frame, `"head"`)
		if _, ours := rawField(frame, `"conversation_id"`); !ours {
			m.mailbox.Store(max(m.mailbox.Load(), head))
		} else if !ok || head > m.held.Load() {
			return m.catchUp(ctx)
		}
		m.hall.wantAck(m)
	case "hello":
		m.openedOnce.Do(func() { close(m.opened) })
	case "":
		return fmt.Errorf("frame without a type: %.200s", frame)
	}
	return nil
}

// apply takes the message that follows the last one held.
func (m *member) apply(seq int64, message []byte, now time.Duration) {
	k, ok := m.seat.take(seq, message, now)
	m.held.Store(seq)
	if ok {
		m.hall.arrived(k, now)
	}
	if seq-m.acked.Load() >= ackBatch {
		m.hall.wantAck(m)
	}
}

// catchUp reads the conversation's history until there is no more, as a client does on a gap or when told that it is behind.
func (m *member) catchUp(ctx context.Context) error {
	m.hall.pulled.Add(1)
	select {
	case m.hall.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-m.hall.slots }()
	c := newConn(ctx, m.user.target, m.hall.options.Timeout)
	defer c.Close()
	for range maxPullPages {
		a, err := c.Do("GET", fmt.Sprintf("/v1/conversations/%s/messages?after_seq=%d&limit=%d", m.hall.party.ID, m.held.Load(), pullLimit), m.user.access, nil)
		if err != nil {
			return err
		}
		if a.Status != 200 {
			m.hall.errors.add("history " + label(a))
			if a.Status != 429 && a.Status != 503 {
				return errors.New("history: " + label(a))
			}
			if err := pauseFor(ctx, max(a.RetryAfter, 100*time.Millisecond)); err != nil {
				return err
			}
			continue
		}
		var page struct {
			Messages []json.RawMessage `json:"messages"`
			HasMore  bool              `json:"has_more"`
		}
		if err := json.Unmarshal(a.Body, &page); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		now := since()
		for _, message := range page.Messages {
			seq, ok := uintField(message, `"conversation_seq"`)
			if !ok {
				return fmt.Errorf("history: message without a conversation_seq: %.200s", message)
			}
			if seq > m.held.Load() {
				m.apply(seq, message, now)
			}
		}
		m.hall.wantAck(m)
		if !page.HasMore {
			return nil
		}
	}
	return fmt.Errorf("history: still more after %d pages", maxPullPages)
}

// ackRequest is the body of an ack of all that the member holds.
func (m *member) ackRequest(body []byte) ([]byte, int64) {
	held := m.held.Load()
	body = append(body, `{"device_id":"`+memberDevice+`"`...)
	if seq := m.mailbox.Load(); seq > 0 {
		body = append(body, `,"up_to":`...)
		body = strconv.AppendInt(body, seq, 10)
	}
	body = append(body, `,"conversations":[{"conversation_id":"`...)
	body = append(body, m.hall.party.ID...)
	body = append(body, `","up_to":`...)
	body = strconv.AppendInt(body, held, 10)
	return append(body, `}]}`...), held
}
