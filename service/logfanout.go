package service

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// logMessage is a committed message of a log conversation. audience is nil when it came
// from another node.
type logMessage struct {
	conversation model.ConversationID
	seq          int64
	version      int64 // of the members that it is for
	audience     *model.Audience
	message      []byte
}

// Bounds of the fan-out.
const (
	logCapacity = 4_096 // messages that wait; beyond, the sweep repairs
	logOrders   = 4_096 // conversations whose last seq is remembered
	logStash    = 256   // messages that came before their turn
	logTogether = 64    // messages that go out together when they have piled up
	logPart     = 128   // members that one core takes at a time
)

// logFanOut brings the messages of log conversations to this node's sessions. It is one
// goroutine, so that a conversation's messages go out in order although batches overtake
// each other.
type logFanOut struct {
	delivery  *Delivery
	audiences func(ctx context.Context, id model.ConversationID, version int64) (*model.Audience, error)
	queue     chan logMessage

	last  map[model.ConversationID]int64 // last seq that went out
	stash []logMessage                   // came before their turn
	ready []logMessage                   // those whose turn it is

	introducing introduction
}

// introduction is what is going on while the sessions that have not heard of a conversation are
// read about: who leaves it meanwhile is not introduced.
type introduction struct {
	mu           sync.Mutex
	conversation model.ConversationID
	seq          int64
	left         map[model.UserID]bool
}

func (i *introduction) begin(id model.ConversationID, seq int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conversation, i.seq, i.left = id, seq, map[model.UserID]bool{}
}

func (i *introduction) end() { i.begin(0, 0) }

func (i *introduction) leave(user model.UserID, id model.ConversationID, seq int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conversation == id && seq > i.seq {
		i.left[user] = true
	}
}

func (i *introduction) hasLeft(user model.UserID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.left[user]
}

func newLogFanOut(d *Delivery) *logFanOut {
	return &logFanOut{delivery: d, queue: make(chan logMessage, logCapacity), last: map[model.ConversationID]int64{}}
}

// SetAudiences says who the members are of a message that came from another node.
func (d *Delivery) SetAudiences(a *Audiences) { d.logs.audiences = a.AtLeast }

// AtLeast answers an audience of the given version or a later one.
func (a *Audiences) AtLeast(ctx context.Context, id model.ConversationID, version int64) (*model.Audience, error) {
	if audience, ok := a.cache.Get(id); ok && audience.Version >= version {
		return audience, nil
	}
	return a.Refresh(ctx, id)
}

func (f *logFanOut) offer(m logMessage) {
	select {
	case f.queue <- m:
	default:
		metrics.relayDropped.Inc()
	}
}

func (f *logFanOut) run(ctx context.Context) {
	var patience <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-f.queue:
			f.take(m)
			for more := true; more && len(f.ready) < logTogether; { // what has piled up goes out together
				select {
				case m := <-f.queue:
					f.take(m)
				default:
					more = false
				}
			}
		case <-patience: // a predecessor did not come: go on, the sessions notice the hole
			f.flush()
			patience = nil
		}
		f.pushReady(ctx)
		switch {
		case len(f.stash) == 0:
			patience = nil
		case patience == nil: // since the first that waits; later ones do not prolong it
			patience = time.After(gapPatience)
		}
	}
}

// take finds out whose turn it is.
func (f *logFanOut) take(m logMessage) {
	last, known := f.last[m.conversation]
	if known && m.seq > last+1 && len(f.stash) < logStash {
		f.stash = append(f.stash, m)
		return
	}
	f.next(m)
	for again := true; again; {
		again = false
		for i, next := range f.stash {
			if next.conversation == m.conversation && next.seq <= f.last[m.conversation]+1 {
				f.stash = slices.Delete(f.stash, i, i+1)
				f.next(next)
				again = true
				break
			}
		}
	}
}

func (f *logFanOut) flush() {
	slices.SortFunc(f.stash, func(a, b logMessage) int { return int(a.seq - b.seq) })
	for _, m := range f.stash {
		f.next(m)
	}
	f.stash = nil
}

func (f *logFanOut) next(m logMessage) {
	if len(f.last) >= logOrders {
		clear(f.last)
	}
	f.last[m.conversation] = max(f.last[m.conversation], m.seq)
	f.ready = append(f.ready, m)
}

// pushReady pushes those whose turn it is: those of one conversation that are for the same
// members together.
func (f *logFanOut) pushReady(ctx context.Context) {
	for len(f.ready) > 0 {
		first := f.ready[0]
		var together, others []logMessage
		for _, m := range f.ready {
			if m.conversation == first.conversation && m.version == first.version {
				together = append(together, m)
			} else {
				others = append(others, m)
			}
		}
		f.ready = others
		slices.SortFunc(together, func(a, b logMessage) int { return int(a.seq - b.seq) })
		f.push(ctx, together)
	}
}

// push brings messages of one conversation, ascending, to its members' sessions, on all cores.
func (f *logFanOut) push(ctx context.Context, list []logMessage) {
	if list[0].conversation == model.Everyone {
		f.pushEveryone(list)
		return
	}
	audience := list[0].audience
	if audience == nil {
		if f.audiences == nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		var err error
		audience, err = f.audiences(ctx, list[0].conversation, list[0].version)
		cancel()
		if err != nil {
			f.delivery.log.Warn("reading a log conversation's members", "error", err) // the sweep repairs
			return
		}
	}
	frames := framesOf(list)
	counts := f.counts(list)
	var taken atomic.Int64                       // members that a worker has or had
	strangers := make([][]stranger, len(counts)) // a worker each
	var workers sync.WaitGroup
	for w := range min(len(strangers), 1+len(audience.Members)/logPart) {
		workers.Go(func() {
			for {
				end := int(taken.Add(logPart))
				for i := end - logPart; i < min(end, len(audience.Members)); i++ {
					from := 0 // the audience may be a later one: a member who has come since sees nothing older
					for from < len(list) && audience.Joined[i] >= list[from].seq {
						from++
					}
					for _, s := range f.delivery.sessionsOf(audience.Members[i]) {
						if !s.offerLogs(list[from:], frames[from:], countsFrom(counts[w], from)) {
							strangers[w] = append(strangers[w], stranger{s, from})
						}
					}
				}
				if end >= len(audience.Members) {
					return
				}
			}
		})
	}
	workers.Wait()
	f.meet(ctx, list, frames, slices.Concat(strangers...), counts[0])
	f.tell(list, counts)
}

// counts is where each worker counts the sockets that it pushed the messages to; nil when none of the messages is followed.
func (f *logFanOut) counts(list []logMessage) [][]int64 {
	counts := make([][]int64, runtime.GOMAXPROCS(0))
	if slices.ContainsFunc(list, func(m logMessage) bool { return f.delivery.trace.Takes(messageID(m.message)) }) {
		for w := range counts {
			counts[w] = make([]int64, len(list))
		}
	}
	return counts
}

// countsFrom is what counts from one message on.
func countsFrom(counts []int64, from int) []int64 {
	if counts == nil {
		return nil
	}
	return counts[from:]
}

// tell records to how many sockets of this node each message went.
func (f *logFanOut) tell(list []logMessage, counts [][]int64) {
	if counts[0] == nil {
		return
	}
	for i, m := range list {
		sum := 0
		for _, c := range counts {
			sum += int(c[i])
		}
		f.delivery.tellMessage(trace.Pushed, messageID(m.message), 0, sum)
	}
}

// framesOf are the pushes of messages: one frame for all who get it.
func framesOf(list []logMessage) [][]byte {
	frames := make([][]byte, len(list))
	for i, m := range list {
		frames[i] = messageFrame(0, 1, m.message)
	}
	return frames
}

// stranger is a session that has not heard of a conversation, and which of the messages at hand is
// the first for it.
type stranger struct {
	session *Session
	from    int
}

// meet introduces sessions to the conversation, each with the first message that it gets.
func (f *logFanOut) meet(ctx context.Context, list []logMessage, frames [][]byte, strangers []stranger, counts []int64) {
	for from := 0; from < len(list) && len(strangers) > 0; from++ {
		var sessions []*Session
		for _, s := range strangers {
			if s.from == from {
				sessions = append(sessions, s.session)
			}
		}
		for some := range slices.Chunk(sessions, 500) {
			first := f.introduce(ctx, list[from], frames[from], some)
			if counts != nil {
				counts[from] += int64(first)
			}
			for _, s := range some {
				s.offerLogs(list[from+1:], frames[from+1:], countsFrom(counts, from+1))
			}
		}
	}
}

// introduce makes the states of sessions that have not heard of the conversation: it became a
// log, or the user joined it, while they were connected, and their positions were pinned then.
// Where m is not the next after that position, something is missing and the client pulls. It answers to how many m was pushed.
func (f *logFanOut) introduce(ctx context.Context, m logMessage, frame []byte, sessions []*Session) (pushes int) {
	keys := make([]model.DeviceKey, len(sessions))
	memberships := make([]model.MemberKey, len(sessions))
	for i, s := range sessions {
		keys[i] = s.Key
		memberships[i] = model.MemberKey{ConversationID: m.conversation, UserID: s.Key.UserID}
	}
	f.introducing.begin(m.conversation, m.seq)
	defer f.introducing.end()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	positions, err := f.delivery.store.LogPositionsIn(ctx, m.conversation, keys)
	if err != nil {
		f.delivery.log.Warn("reading positions in a log conversation", "error", err) // then all pull
	}
	// Who has left since m has no place in it any more: they could not even ack.
	members, err := f.delivery.store.MemberHeads(ctx, memberships)
	if err != nil {
		f.delivery.log.Warn("reading memberships of a log conversation", "error", err) // then all are taken for members
	}
	for i, s := range sessions {
		s.mu.Lock()
		_, member := members[memberships[i]]
		if s.logs[m.conversation] == nil && s.state != stateClosed && (member || err != nil) && !f.introducing.hasLeft(s.Key.UserID) {
			acked, pinned := positions[s.Key]
			state := s.log(m.conversation, acked)
			if state.head = max(m.seq, acked); !pinned || acked < m.seq-1 {
				s.logBehind(m.conversation, state)
			}
		}
		if s.offerLog(m.conversation, m.seq, frame, m.message) {
			pushes++
		}
		s.mu.Unlock()
	}
	return pushes
}
