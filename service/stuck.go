package service

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"ackbox/model"
)

// Bounds of looking for who is stuck.
const (
	// MaxStuck is how many devices an answer has at most.
	MaxStuck = 200
	// stuckFresh is how old an answer may be: operators' pages ask again and again.
	stuckFresh = 2 * time.Second
)

// StuckOrder says who comes first.
type StuckOrder string

// Orders.
const (
	StuckByLag StuckOrder = "lag"    // the furthest behind
	StuckByAge StuckOrder = "oldest" // whose oldest un-acked entry is the oldest
)

// StuckDevice is a device with un-acked entries and its connection, if it has one.
type StuckDevice struct {
	model.StuckDevice
	Connected bool
	Node      model.NodeID // where it is connected
	Attempts  int          // pushes of the un-acked entry that was pushed most often
}

// Stuck is who is behind. The devices are found among the model.StuckScan that were seen last, and among those that are connected.
type Stuck struct {
	Devices   []StuckDevice
	ByAttempt []int64 // entries of all ack queues, by how often they have been pushed; the last counts those above too
	Evictions int64   // since the nodes began
	Closes    map[int]int64
	Missing   []model.NodeID
}

// maxAttempts is how many attempts are told apart.
const maxAttempts = 10

// stuckQuestion and stuckAnswer travel between nodes.
type stuckQuestion struct {
	Devices []model.DeviceKey `json:"devices"`
	Order   StuckOrder        `json:"order"`
	Limit   int               `json:"limit"`
}

type stuckAnswer struct {
	Sessions  []stuckSession `json:"sessions"` // those that were asked for, and the worst
	ByAttempt []int64        `json:"by_attempt"`
	Evictions int64          `json:"evictions"`
	Closes    map[int]int64  `json:"closes"`
}

type stuckSession struct {
	Key      model.DeviceKey `json:"key"`
	Lag      int64           `json:"lag"`
	Since    int64           `json:"since"` // when its oldest un-acked push was made, Unix microseconds; 0: none waits
	Attempts int             `json:"attempts"`
}

// stuckMemory is the last answer of each order.
type stuckMemory struct {
	mu   sync.Mutex
	last map[StuckOrder]remembered
}

type remembered struct {
	at    time.Time
	limit int
	stuck *Stuck
}

// Stuck lists who is furthest behind, at most limit, with what the nodes know of them. It is at most two seconds old.
func (t *Traces) Stuck(ctx context.Context, order StuckOrder, limit int) (*Stuck, error) {
	limit = min(limit, MaxStuck)
	m := &t.stuck
	m.mu.Lock() // one looks, the others wait for what it finds
	defer m.mu.Unlock()
	now := t.delivery.clock()
	last, known := m.last[order]
	if !known || last.limit < limit || now.Sub(last.at) >= stuckFresh || now.Before(last.at) {
		found, err := t.findStuck(ctx, order, limit)
		if err != nil {
			return nil, err
		}
		if m.last == nil {
			m.last = map[StuckOrder]remembered{}
		}
		last = remembered{now, limit, found}
		m.last[order] = last
	}
	answer := *last.stuck
	answer.Devices = slices.Clone(answer.Devices[:min(len(answer.Devices), limit)])
	return &answer, nil
}

func (t *Traces) findStuck(ctx context.Context, order StuckOrder, limit int) (*Stuck, error) {
	list, err := t.store.StuckDevices(ctx, nil, order == StuckByAge, limit)
	if err != nil {
		return nil, err
	}
	known := map[model.DeviceKey]bool{}
	q := stuckQuestion{Order: order, Limit: limit}
	for _, d := range list {
		key := model.DeviceKey{UserID: d.UserID, DeviceID: d.DeviceID}
		known[key] = true
		q.Devices = append(q.Devices, key)
	}
	answers, missing, err := AskAll[stuckAnswer](ctx, t.calls, "stuck", q)
	if err != nil {
		return nil, err
	}
	s := &Stuck{ByAttempt: make([]int64, maxAttempts), Closes: map[int]int64{}, Missing: missing}
	type place struct {
		stuckSession
		node model.NodeID
	}
	connected := map[model.DeviceKey]place{}
	var others []model.DeviceKey
	for _, a := range answers {
		for i, n := range a.Value.ByAttempt {
			s.ByAttempt[min(i, maxAttempts-1)] += n
		}
		s.Evictions += a.Value.Evictions
		for code, n := range a.Value.Closes {
			s.Closes[code] += n
		}
		for _, v := range a.Value.Sessions {
			connected[v.Key] = place{v, a.Node}
			if !known[v.Key] {
				known[v.Key] = true
				others = append(others, v.Key)
			}
		}
	}
	for some := range slices.Chunk(others, 500) {
		more, err := t.store.StuckDevices(ctx, some, order == StuckByAge, limit)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	slices.SortFunc(list, func(a, b model.StuckDevice) int {
		by := cmp.Compare(b.Lag, a.Lag)
		if order == StuckByAge {
			by = cmp.Compare(uint64(a.Oldest)-1, uint64(b.Oldest)-1) // none is the youngest
		}
		return cmp.Or(by, cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
	})
	for _, d := range list[:min(len(list), limit)] {
		v, here := connected[model.DeviceKey{UserID: d.UserID, DeviceID: d.DeviceID}]
		s.Devices = append(s.Devices, StuckDevice{StuckDevice: d, Connected: here, Node: v.node, Attempts: v.Attempts})
	}
	return s, nil
}

// answerStuck is what this node knows of its own sessions. It looks at each once, with its lock held for a moment.
func (t *Traces) answerStuck(_ context.Context, payload json.RawMessage) (any, error) {
	var q stuckQuestion
	if err := json.Unmarshal(payload, &q); err != nil || len(q.Devices) > MaxStuck || q.Limit < 0 || q.Limit > MaxStuck {
		return nil, model.NewError(model.CodeValidation, "not a question about stuck devices")
	}
	asked := make(map[model.DeviceKey]bool, len(q.Devices))
	for _, key := range q.Devices {
		asked[key] = true
	}
	d := t.delivery
	a := stuckAnswer{ByAttempt: d.queue.View().ByAttempt, Evictions: valueOf(metrics.evictions), Closes: map[int]int64{}}
	for _, code := range []int{CloseUnacked, CloseSlow} {
		a.Closes[code] = valueOf(metrics.closes.WithLabelValues(closeLabel(code)))
	}
	var named, worst []stuckSession
	order := func(x, y stuckSession) int {
		if q.Order == StuckByAge {
			return cmp.Compare(uint64(x.Since)-1, uint64(y.Since)-1)
		}
		return cmp.Compare(y.Lag, x.Lag)
	}
	d.each(func(s *Session) {
		s.mu.Lock()
		v, open := stuckSession{Key: s.Key, Lag: max(0, s.head-s.acked)}, s.state != stateClosed
		oldest := int64(0)
		if len(s.unacked) > 0 { // it waits longest, and has been pushed most often
			oldest = s.unacked[0]
		}
		s.mu.Unlock()
		if !open || (!asked[v.Key] && v.Lag == 0) {
			return
		}
		if first, attempt, waits := d.queue.push(s, oldest); waits {
			v.Since, v.Attempts = first.UnixMicro(), attempt
		}
		if asked[v.Key] {
			named = append(named, v)
			return
		}
		if worst = append(worst, v); len(worst) >= 4*MaxStuck {
			slices.SortFunc(worst, order)
			worst = worst[:q.Limit]
		}
	})
	slices.SortFunc(worst, order)
	a.Sessions = slices.Concat(named, worst[:min(len(worst), q.Limit)])
	return a, nil
}
