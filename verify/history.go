package verify

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"ackbox/client"
)

// ErrFull says that the history has more events than the recorder may hold: nothing can be concluded from it.
var ErrFull = errors.New("the history is full")

// chunk is how many events are allocated at a time.
const chunk = 4096

// maxLine bounds one line of a written history, in bytes: a page of 200 sights fits many times.
const maxLine = 8 << 20

// Recorder takes down what many clients do and see. It is safe for concurrent use; an event costs about a microsecond
// and half a kilobyte, and several times that with a writer.
type Recorder struct {
	began    time.Time
	capacity int
	call     atomic.Int64

	mu     sync.Mutex
	chunks [][]Event
	count  int
	out    *bufio.Writer
	err    error
}

// NewRecorder makes a recorder of at most capacity events. When out is not nil, every event is written to it as well, a
// line of JSON each, for Load.
func NewRecorder(capacity int, out io.Writer) *Recorder {
	r := &Recorder{began: time.Now(), capacity: capacity}
	if out != nil {
		r.out = bufio.NewWriterSize(out, 1<<16)
	}
	return r
}

// Now is the recorder's clock.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Add takes an event down and sets its At: an invoke is added before the request leaves, its end after the answer has come.
// What can't be kept is told by Err.
func (r *Recorder) Add(e Event) {
	intern(&e)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Since(r.began)
	if r.count == r.capacity {
		if r.err == nil {
			r.err = fmt.Errorf("%w: it holds %d events", ErrFull, r.capacity)
		}
		return
	}
	if len(r.chunks) == 0 || len(r.chunks[len(r.chunks)-1]) == chunk {
		r.chunks = append(r.chunks, make([]Event, 0, min(chunk, r.capacity)))
	}
	last := &r.chunks[len(r.chunks)-1]
	*last = append(*last, e)
	r.count++
	if r.out == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("write the history: %w", err)
	}
}

// Invoke takes down that a call begins and returns the event to End it with.
func (r *Recorder) Invoke(e Event) Event {
	e.Phase = Invoke
	e.Call = r.call.Add(1)
	r.Add(e)
	return e
}

// Fault takes down that a disturbance begins, and returns what takes down its end. What the fault has touched may come
// as late as limit after its end.
func (r *Recorder) Fault(name string, limit time.Duration) (end func()) {
	e := Event{Op: OpFault, Phase: Begin, Call: r.call.Add(1), Fault: name, Limit: limit}
	r.Add(e)
	return func() {
		e.Phase = End
		r.Add(e)
	}
}

// Keep takes down that a copy of the store is being made. copied takes down its end; lose, that the store is dead and the
// copy comes in its place. lose is called after the store has answered for the last time and before the copy can.
func (r *Recorder) Keep() (copied, lose func()) {
	e := Event{Op: OpKeep, Phase: Begin, Call: r.call.Add(1)}
	r.Add(e)
	copied = func() {
		e.Phase = End
		r.Add(e)
	}
	return copied, func() { r.Add(Event{Op: OpLoss, Phase: OK, Call: e.Call}) }
}

// Len is how many events there are.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Events are the events so far, in order of time.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Event, 0, r.count)
	for _, c := range r.chunks {
		all = append(all, c...)
	}
	return all
}

// Err is why the history is incomplete: ErrFull, or what the writer said. It flushes the writer.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out != nil {
		if err := r.out.Flush(); err != nil && r.err == nil {
			r.err = fmt.Errorf("write the history: %w", err)
		}
	}
	return r.err
}

// Load reads a written history.
func Load(in io.Reader) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %d of the history: %w", len(events)+1, err)
		}
		intern(&e)
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return events, nil
}

// intern makes equal ids share their bytes: a message is seen by many.
func intern(e *Event) {
	share(&e.User)
	share(&e.Device)
	share(&e.Node)
	share(&e.Connection)
	share(&e.Conversation)
	share(&e.Key)
	for i := range e.Sights {
		s := &e.Sights[i]
		share(&s.Message)
		share(&s.Conversation)
		share(&s.Sender)
		share(&s.Key)
		share(&s.Type)
	}
}

func share[S client.UserID | client.ConversationID | client.MessageID | string](s *S) {
	*s = unique.Make(*s).Value()
}
