package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"ackbox/client"
	"ackbox/verify"
)

const (
	ackEvery = 20
	ackDelay = 200 * time.Millisecond
	page     = 200
)

// device is a person's one device. It keeps the contract: it drops what it has, pulls at a gap, acks in batches, steps back
// when its positions are not the server's, and comes back wherever there is a node, home when it can. One goroutine uses it.
type device struct {
	*person
	name   string
	random *rand.Rand

	ids   []client.MessageID // the entry at seq i+1: what it holds
	acked int64
	logs  map[client.ConversationID]*logPosition
}

// logPosition is what it holds of a conversation that is delivered by log.
type logPosition struct{ seq, acked int64 }

func newDevice(p *person, random *rand.Rand) *device {
	return &device{person: p, name: "phone", random: random, logs: map[client.ConversationID]*logPosition{}}
}

func (d *device) held() int64 { return int64(len(d.ids)) }

func (d *device) heldID() client.MessageID {
	if len(d.ids) == 0 {
		return ""
	}
	return d.ids[len(d.ids)-1]
}

func (d *device) event(op verify.Op, node int) verify.Event {
	e := d.person.event(op, node)
	e.Device = d.name
	return e
}

// run keeps the device online until ctx ends.
func (d *device) run(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		if d.online(ctx, try) {
			try = -1
		}
		if wait(ctx, pause(d.random, try+1)) != nil {
			return
		}
	}
}

// online is one connection to the i-th node, from the dial to its end. It says whether there was one.
func (d *device) online(ctx context.Context, node int) bool {
	held, id := d.held(), d.heldID()
	connect := d.event(verify.OpConnect, node)
	connect.After = held
	var socket *client.Socket
	var hello client.Frame
	d.call(ctx, connect, func(ctx context.Context, e *verify.Event) (err error) {
		if socket, err = d.at(node).Connect(ctx, client.Dial{Device: d.name, LastSeq: &held, LastID: id}); err != nil {
			return err
		}
		if hello, err = socket.Next(ctx); err != nil {
			_ = socket.Drop() //nolint:errcheck // it was not of use
			socket = nil
			return err
		}
		e.Connection, e.Acked, e.Head, e.Reset = hello.ConnectionID, hello.Acked, hello.Head, hello.Reset
		return nil
	})
	if socket == nil {
		return false
	}
	if hello.Reset {
		d.stepBack(ctx, node)
	}
	end := d.event(verify.OpClose, node)
	end.Phase, end.Connection = verify.OK, hello.ConnectionID
	end.Code, end.Detail = d.listen(ctx, socket, node, hello.ConnectionID)
	_ = socket.Drop() //nolint:errcheck // whatever it says, it has ended
	d.recorder.Add(end)
	return true
}

// listen takes what is pushed until the connection ends, and tells how it did.
func (d *device) listen(ctx context.Context, socket *client.Socket, node int, connection string) (code int, detail string) {
	tick := time.NewTicker(ackDelay)
	defer tick.Stop()
	var home <-chan time.Time // elsewhere, it goes home after a while
	if node%len(d.nodes) != 0 {
		timer := time.NewTimer(time.Duration(500+d.random.IntN(1500)) * time.Millisecond)
		defer timer.Stop()
		home = timer.C
	}
	waiting := 0
	for {
		select {
		case frame, ok := <-socket.Frames():
			if !ok {
				_, err := socket.Next(ctx)
				return client.EndedWith(err), fmt.Sprint(err)
			}
			waiting += d.take(ctx, frame, node, connection)
			if waiting >= ackEvery {
				d.ack(ctx, node)
				waiting = 0
			}
		case <-tick.C:
			d.ack(ctx, node)
			waiting = 0
		case <-home:
			return 0, "goes home"
		case <-ctx.Done():
			return 0, "the load rests"
		}
	}
}

// take does what a frame asks for, and says how many acks it wants.
func (d *device) take(ctx context.Context, f client.Frame, node int, connection string) int {
	switch f.Type {
	case "message":
		e := d.event(verify.OpPush, node)
		e.Phase, e.Connection, e.Attempt, e.Sights = verify.OK, connection, f.Attempt, []verify.Sight{verify.See(f.Seq, f.Message)}
		d.recorder.Add(e)
		if f.Seq == 0 {
			d.takeLog(ctx, f.Message, node)
			return 1
		}
		switch {
		case f.Seq == d.held()+1:
			d.ids = append(d.ids, f.Message.MessageID)
		case f.Seq > d.held():
			d.pull(ctx, node)
		case d.ids[f.Seq-1] != f.Message.MessageID: // the mailbox is another one below us
			d.stepBack(ctx, node)
		}
		return 1
	case "behind":
		if f.ConversationID != "" {
			d.pullLog(ctx, f.ConversationID, node)
			return ackEvery
		}
		d.pull(ctx, node)
		return ackEvery
	case "ping":
		if f.Head > d.held() {
			d.pull(ctx, node)
		}
	case "receipt":
		e := d.event(verify.OpReceipt, node)
		e.Phase, e.Connection, e.Conversation, e.Users, e.Kind, e.UpTo = verify.OK, connection, f.ConversationID, []client.UserID{f.UserID}, f.Kind, f.UpTo
		d.recorder.Add(e)
	}
	return 0
}

func (d *device) takeLog(ctx context.Context, m client.Message, node int) {
	at, known := d.logs[m.ConversationID]
	switch {
	case known && m.ConversationSeq == at.seq+1:
		at.seq++
	case !known || m.ConversationSeq > at.seq:
		d.pullLog(ctx, m.ConversationID, node)
	}
}

// pull pulls the mailbox to its head, each page's pull being the last one's ack. It says whether it got there.
func (d *device) pull(ctx context.Context, node int) bool {
	for {
		e := d.event(verify.OpPull, node)
		e.After, e.Acks = d.held(), true
		var got client.Page
		var failure error
		d.call(ctx, e, func(ctx context.Context, e *verify.Event) (err error) {
			got, failure = d.at(node).Sync(ctx, client.Pull{DeviceID: d.name, After: e.After, AfterID: d.heldID(), Limit: page})
			seen(e, got)
			return failure
		})
		if lost(failure) {
			d.stepBack(ctx, node)
			return false
		}
		if failure != nil {
			return false
		}
		d.acked = max(d.acked, d.held())
		for _, entry := range got.Entries {
			if entry.Seq == d.held()+1 {
				d.ids = append(d.ids, entry.Message.MessageID)
			}
		}
		if !got.HasMore {
			return true
		}
	}
}

func seen(e *verify.Event, got client.Page) {
	e.Head, e.More = got.Head, got.HasMore
	for _, entry := range got.Entries {
		e.Sights = append(e.Sights, verify.See(entry.Seq, entry.Message))
	}
}

func lost(err error) bool {
	problem, ok := client.AsProblem(err)
	return ok && problem.Code == "position_lost"
}

// pullLog pulls a conversation to its head; it says whether it got there, or may not go there any more.
func (d *device) pullLog(ctx context.Context, id client.ConversationID, node int) bool {
	at, known := d.logs[id]
	if !known {
		at = &logPosition{}
		d.logs[id] = at
	}
	for {
		e := d.event(verify.OpHistory, node)
		e.Conversation, e.After = id, at.seq
		var got client.History
		var failure error
		d.call(ctx, e, func(ctx context.Context, e *verify.Event) (err error) {
			got, failure = d.at(node).History(ctx, id, url.Values{"after_seq": {strconv.FormatInt(at.seq, 10)}, "limit": {strconv.Itoa(page)}})
			e.Head, e.More = got.Head, got.HasMore
			for _, m := range got.Messages {
				e.Sights = append(e.Sights, verify.See(0, m))
			}
			return failure
		})
		if problem, ok := client.AsProblem(failure); ok && problem.Status == 404 {
			return true
		}
		if failure != nil {
			return false
		}
		for _, m := range got.Messages {
			at.seq = max(at.seq, m.ConversationSeq)
		}
		if !got.HasMore {
			return true
		}
	}
}

// ack acks what it holds and has not acked.
func (d *device) ack(ctx context.Context, node int) {
	if held := d.held(); held > d.acked {
		e := d.event(verify.OpAck, node)
		e.UpTo = held
		if d.acknowledge(ctx, e, client.Ack{DeviceID: d.name, UpTo: &held, UpToID: d.heldID()}, node) {
			d.acked = held
		}
	}
	for id, at := range d.logs {
		if at.seq <= at.acked {
			continue
		}
		e := d.event(verify.OpAck, node)
		e.Conversation, e.ConversationSeq = id, at.seq
		if d.acknowledge(ctx, e, client.Ack{DeviceID: d.name, Conversations: []client.LogAck{{ConversationID: id, UpTo: at.seq}}}, node) {
			at.acked = at.seq
		}
	}
}

func (d *device) acknowledge(ctx context.Context, e verify.Event, ack client.Ack, node int) (ok bool) {
	var failure error
	d.call(ctx, e, func(ctx context.Context, e *verify.Event) error {
		e.Acked, failure = d.at(node).Ack(ctx, ack)
		return failure
	})
	if lost(failure) {
		if e.Conversation == "" {
			d.stepBack(ctx, node)
			return false
		}
		reset := d.event(verify.OpReset, node) // of a log, all is pulled again
		reset.Phase, reset.Conversation, reset.UpTo = verify.OK, e.Conversation, 0
		d.recorder.Add(reset)
		d.logs[e.Conversation] = &logPosition{}
		return false
	}
	return failure == nil
}

// stepBack finds the highest entry that the mailbox still has as the device holds it, and forgets what is above.
func (d *device) stepBack(ctx context.Context, node int) {
	low, high := int64(0), d.held() // the entry at low is the same; high+1 is not
	for low < high {
		middle := (low + high + 1) / 2
		e := d.event(verify.OpPull, node)
		e.After = middle - 1
		var got client.Page
		var failure error
		d.call(ctx, e, func(ctx context.Context, e *verify.Event) error {
			got, failure = d.at(node).Mailbox(ctx, middle-1, 1)
			seen(e, got)
			return failure
		})
		if failure != nil {
			return // the next ack or pull tells again
		}
		if len(got.Entries) == 1 && got.Entries[0].Seq == middle && got.Entries[0].Message.MessageID == d.ids[middle-1] {
			low = middle
		} else {
			high = middle - 1
		}
	}
	reset := d.event(verify.OpReset, node)
	reset.Phase, reset.UpTo = verify.OK, low
	d.recorder.Add(reset)
	d.ids = d.ids[:low]
	d.acked = min(d.acked, low)
	d.pull(ctx, node)
}

// settle pulls everything, of the mailbox and of every log conversation, and acks it.
func (d *device) settle(ctx context.Context) error {
	deadline := time.Now().Add(keepTrying)
	for try := 0; ; try++ {
		complete := d.pull(ctx, try)
		for _, r := range d.rooms {
			if r.group != "" && (r.log || d.logs[r.group] != nil) {
				complete = d.pullLog(ctx, r.group, try) && complete
			}
		}
		if complete {
			d.ack(ctx, try)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s could not pull everything in %s", errNoAnswer, d.session.User.Username, keepTrying)
		}
		if err := wait(ctx, pause(d.random, try)); err != nil {
			return err
		}
	}
}
