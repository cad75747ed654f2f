package service

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"ackbox/model"
)

// listener is a device that keeps the rules of the contract (it reads what it is pushed, pulls when it
// is told that it is behind, and acks) and remembers what it was shown.
type listener struct {
	node    *node
	key     model.DeviceKey
	session *Session
	leave   func() // closes its socket; also at the test's end

	mu     sync.Mutex
	frames [][]byte // pushed, and not read yet
	code   int      // why it was closed
	pushed chan struct{}

	seen    sync.Mutex
	err     error
	mailbox []shown // by seq, from 1
	acked   int     // entries of it that were acked
	logs    map[model.ConversationID]*shownLog
}

// shown is a message's place.
type shown struct {
	ID             model.MessageID      `json:"message_id"`
	ConversationID model.ConversationID `json:"conversation_id"`
	Seq            int64                `json:"conversation_seq"`
}

// shownLog is what came of a log conversation: pushed, or pulled.
type shownLog struct {
	seqs  map[int64]bool
	upTo  int64
	pulls int
	acked int64
}

// listenerAcks is how many pushes a listener takes before it acks them.
const listenerAcks = 40

// listen connects a device and reads for it until the test ends.
func (n *node) listen(t tester, user model.UserID) *listener {
	t.Helper()
	l := &listener{node: n, key: model.DeviceKey{UserID: user, DeviceID: "phone"}, pushed: make(chan struct{}, 1), logs: map[model.ConversationID]*shownLog{}}
	_, err := n.acker.Ack(within(t), Ack{Key: l.key}) // the device exists from here on
	must(t, err)
	logs, err := n.store.LogHeads(t.Context(), l.key)
	must(t, err)
	l.session = n.delivery.Join(l, Opening{Key: l.key, Logs: logs, ExpiresAt: n.delivery.clock().Add(24 * time.Hour)})
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() { l.read(ctx) })
	l.leave = sync.OnceFunc(func() {
		cancel()
		reading.Wait()
		n.delivery.Leave(l.session)
	})
	t.Cleanup(l.leave)
	return l
}

// Push takes a frame: this socket has room for all.
func (l *listener) Push(frames [][]byte) (waits int, ok bool) {
	l.mu.Lock()
	l.frames = append(l.frames, frames...)
	l.mu.Unlock()
	select {
	case l.pushed <- struct{}{}:
	default:
	}
	return len(frames), true
}

// Ping is answered by a client's library, not by the client.
func (l *listener) Ping() {}

// Close remembers the first code.
func (l *listener) Close(_ []byte, code int, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.code == 0 {
		l.code = code
	}
}

func (l *listener) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.pushed:
		}
		for {
			l.mu.Lock()
			frames := l.frames
			l.frames = nil
			l.mu.Unlock()
			if len(frames) == 0 {
				break
			}
			for _, frame := range frames {
				l.seen.Lock()
				if err := l.take(ctx, frame); err != nil && l.err == nil && ctx.Err() == nil {
					l.err = fmt.Errorf("frame %.200s: %w", frame, err)
				}
				l.seen.Unlock()
				l.session.Written()
			}
		}
	}
}

func (l *listener) take(ctx context.Context, text []byte) error {
	var f struct {
		Type         string
		Seq          int64
		Attempt      int
		Head         int64
		Conversation model.ConversationID `json:"conversation_id"`
		Message      shown
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	switch {
	case f.Type == "message" && f.Seq != 0:
		return l.entry(ctx, f.Seq, f.Message)
	case f.Type == "message":
		log := l.log(f.Message.ConversationID)
		if f.Message.Seq <= log.upTo {
			if f.Attempt == 1 {
				return fmt.Errorf("log message pushed for the first time after %d", log.upTo)
			}
			return nil
		}
		log.seqs[f.Message.Seq], log.upTo = true, f.Message.Seq
		if log.upTo-log.acked >= listenerAcks {
			return l.ackLog(ctx, f.Message.ConversationID)
		}
	case f.Type == "behind" && f.Conversation != 0:
		return l.pullLog(ctx, f.Conversation)
	case f.Type == "behind":
		for more := true; more; {
			page, err := l.node.mailboxes.Get(ctx, l.key.UserID, int64(len(l.mailbox)), 200)
			if err != nil {
				return err
			}
			for _, e := range page.Entries {
				if err := l.entry(ctx, e.Seq, shown{e.Message.ID, e.Message.ConversationID, e.Message.ConversationSeq}); err != nil {
					return err
				}
			}
			more = page.More
		}
		return l.ack(ctx)
	}
	return nil
}

func (l *listener) entry(ctx context.Context, seq int64, m shown) error {
	switch held := int64(len(l.mailbox)); {
	case seq <= held:
		if l.mailbox[seq-1] != m {
			return fmt.Errorf("another message than %v", l.mailbox[seq-1])
		}
		return nil
	case seq > held+1:
		return fmt.Errorf("entry %d after %d", seq, held)
	}
	l.mailbox = append(l.mailbox, m)
	if len(l.mailbox)-l.acked < listenerAcks {
		return nil
	}
	return l.ack(ctx)
}

// log is what it has of a log conversation.
func (l *listener) log(id model.ConversationID) *shownLog {
	if l.logs[id] == nil {
		l.logs[id] = &shownLog{seqs: map[int64]bool{}}
	}
	return l.logs[id]
}

// pullLog reads the history behind what it has; who is out by now has nothing to read.
func (l *listener) pullLog(ctx context.Context, id model.ConversationID) error {
	log := l.log(id)
	log.pulls++
	for more := true; more; {
		var list []*model.Message
		var err error
		if list, _, more, err = l.node.conversations.History(ctx, l.key.UserID, id, &log.upTo, nil, 200); err != nil {
			if model.CodeOf(err) == model.CodeNotFound {
				return nil
			}
			return err
		}
		for _, m := range list {
			log.seqs[m.ConversationSeq], log.upTo = true, m.ConversationSeq
		}
	}
	return l.ackLog(ctx, id)
}

func (l *listener) ack(ctx context.Context) error {
	upTo := int64(len(l.mailbox))
	_, err := l.node.acker.Ack(ctx, Ack{Key: l.key, UpTo: &upTo})
	l.acked = len(l.mailbox)
	return err
}

func (l *listener) ackLog(ctx context.Context, id model.ConversationID) error {
	log := l.log(id)
	log.acked = log.upTo
	_, err := l.node.acker.Ack(ctx, Ack{Key: l.key, Conversations: []model.LogPosition{{ConversationID: id, Acked: log.upTo}}})
	if model.CodeOf(err) == model.CodeNotFound {
		return nil // out by now
	}
	return err
}

// ackAll acks what it holds.
func (l *listener) ackAll(ctx context.Context) error {
	l.seen.Lock()
	defer l.seen.Unlock()
	if l.acked < len(l.mailbox) {
		if err := l.ack(ctx); err != nil {
			return err
		}
	}
	for id, log := range l.logs {
		if log.acked < log.upTo {
			if err := l.ackLog(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled waits until nothing that it was pushed is un-acked any more: who is out of a group must not be kept waiting for an
// ack that would be refused.
func (l *listener) settled(t tester) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/3)
	defer cancel()
	for {
		waits := ""
		l.session.mu.Lock()
		if n := len(l.session.unacked); n > 0 {
			waits = fmt.Sprintf("%d entries up to %d", n, l.session.unacked[n-1])
		}
		for id, state := range l.session.logs {
			if state.acked < state.sent {
				waits += fmt.Sprintf("; group %d up to %d, acked %d", id, state.sent, state.acked)
			}
		}
		l.session.mu.Unlock()
		if waits == "" {
			return
		}
		if pause(ctx, time.Millisecond) != nil {
			t.Fatalf("device of %d waits for acks of %s", l.key.UserID, waits)
		}
	}
}
