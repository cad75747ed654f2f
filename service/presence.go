package service

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/model"
)

// Bounds of presence.
const (
	// presenceGrace is how long after the last session closed a user counts as online: a
	// reconnect is silent.
	presenceGrace = 10 * time.Second
	// presenceTTL is how long a node's word holds in Redis: after that, the users of a node that
	// was killed are offline. It must be larger than PresenceRefresh and the clocks' difference.
	presenceTTL = 45 * time.Second
	// PresenceRefresh is how often a node's word is renewed.
	PresenceRefresh = 15 * time.Second

	presenceCapacity = 65_536                // users whose change waits; beyond, changes are dropped until the next refresh
	presenceBatch    = 500                   // users in one pipeline
	presenceAudience = 1_000                 // people who are told of one change
	presencePace     = 20 * time.Microsecond // a frame, at most: 50,000 a second
	presencePatience = 500 * time.Millisecond
)

// PresenceOptions is what Presence needs. Without Redis this node's sessions are all there are.
type PresenceOptions struct {
	Store        *model.Store
	Delivery     *Delivery
	Redis        redis.UniversalClient // nil: no other node
	Installation string
	Node         string // distinct among the nodes that live
	Grace, TTL   time.Duration
	Clock        func() time.Time
	Log          *slog.Logger
}

// Presence knows who is online, and tells those who share a conversation. What it tells may be
// lost; asking is right within the TTL. One worker does it, off every path that a client
// waits on: a session that comes or goes leaves a note, one a user, and too many notes are dropped.
//
// In Redis each user has a sorted set of node/device, scored with the moment until which the
// node's word holds.
type Presence struct {
	PresenceOptions
	prefix string

	wake chan struct{}
	done sync.WaitGroup
	stop context.CancelFunc
	work sync.Mutex // one writer to Redis at a time, across I/O: the worker or the refresh

	mu      sync.Mutex // of what is below, never across I/O
	changed map[model.UserID]struct{}
	left    map[model.DeviceKey]struct{}
	present map[model.UserID]*presentUser // online by this node's word: bounded by its users
	leaving map[model.UserID]struct{}     // those of them who have no session here any more
}

// presentUser is what this node has told of a user.
type presentUser struct {
	devices []model.DeviceID
	leftAt  time.Time // when the last session had gone; zero while there is one
}

// PresenceState says whether a user is online, and when they were last seen (0: never).
type PresenceState struct {
	UserID     model.UserID
	Online     bool
	LastSeenAt model.Millis
}

// NewPresence starts the worker and watches the delivery's sessions.
func NewPresence(o PresenceOptions) *Presence {
	p := watchPresence(o)
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.done.Go(func() { p.run(ctx) })
	return p
}

// watchPresence is NewPresence without the worker.
func watchPresence(o PresenceOptions) *Presence {
	p := &Presence{
		PresenceOptions: o, prefix: "ackbox:" + o.Installation + ":presence:", wake: make(chan struct{}, 1), stop: func() {},
		changed: map[model.UserID]struct{}{}, left: map[model.DeviceKey]struct{}{}, present: map[model.UserID]*presentUser{}, leaving: map[model.UserID]struct{}{},
	}
	if p.Grace == 0 {
		p.Grace = presenceGrace
	}
	if p.TTL == 0 {
		p.TTL = presenceTTL
	}
	o.Delivery.watch = p.note
	return p
}

// Stop ends the worker, and lets this node's word hold only for the grace: a client that
// reconnects to another node is not seen to have gone.
func (p *Presence) Stop(ctx context.Context) error {
	p.stop()
	p.done.Wait()
	p.mu.Lock()
	users := make([]model.UserID, 0, len(p.present))
	for user := range p.present {
		users = append(users, user)
	}
	p.mu.Unlock()
	if p.Redis == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	until := p.Clock().Add(p.Grace)
	for part := range slices.Chunk(users, presenceBatch) {
		pipe := p.Redis.Pipeline()
		for _, user := range part {
			p.mu.Lock()
			devices := p.present[user].devices
			p.mu.Unlock()
			pipe.ZAddXX(ctx, p.key(user), p.members(devices, until)...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			p.Log.Debug("presence at the stop", "error", err)
			return nil // it ends by itself
		}
	}
	return nil
}

// note takes a session that came or went. It never waits.
func (p *Presence) note(key model.DeviceKey, came bool) {
	p.mu.Lock()
	if len(p.changed) < presenceCapacity {
		p.changed[key.UserID] = struct{}{}
	}
	if !came && len(p.left) < presenceCapacity {
		p.left[key] = struct{}{}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Presence) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-tick.C:
		}
		p.round(ctx)
	}
}

// round works off the notes and those whose grace has passed, and then tells of it.
func (p *Presence) round(ctx context.Context) {
	now := p.Clock()
	p.mu.Lock()
	changed := make([]model.UserID, 0, len(p.changed))
	for user := range p.changed {
		changed = append(changed, user)
	}
	left := make([]model.DeviceKey, 0, len(p.left))
	for key := range p.left {
		left = append(left, key)
	}
	clear(p.changed)
	clear(p.left)
	p.mu.Unlock()

	for part := range slices.Chunk(left, presenceBatch) {
		if err := p.Store.TouchDevices(ctx, part, model.MillisOf(now)); err != nil {
			p.Log.Debug("presence: last seen", "error", err)
		}
	}
	for part := range slices.Chunk(changed, presenceBatch) {
		for _, user := range p.settle(ctx, part, now) {
			p.tell(ctx, PresenceState{UserID: user, Online: true, LastSeenAt: model.MillisOf(now)})
		}
	}
	for part := range slices.Chunk(p.gone(now), presenceBatch) {
		for _, state := range p.release(ctx, part) {
			p.tell(ctx, state)
		}
	}
}

// settle compares users with their sessions here and answers who has come online.
func (p *Presence) settle(ctx context.Context, users []model.UserID, now time.Time) (came []model.UserID) {
	p.work.Lock()
	defer p.work.Unlock()
	writes := p.pipeline()
	elsewhere := map[model.UserID]*redis.IntCmd{}
	for _, user := range users {
		devices := p.devicesHere(user)
		p.mu.Lock()
		state := p.present[user]
		switch {
		case len(devices) == 0 && state != nil && state.leftAt.IsZero():
			state.leftAt = now
			p.leaving[user] = struct{}{}
		case len(devices) > 0:
			var before []model.DeviceID
			if state == nil {
				state = &presentUser{}
				p.present[user] = state
				came = append(came, user)
				if writes != nil {
					elsewhere[user] = writes.ZCount(ctx, p.key(user), score(now), "+inf") // before this node's own word
				}
			}
			before, state.devices, state.leftAt = state.devices, devices, time.Time{}
			delete(p.leaving, user)
			if writes != nil {
				p.put(ctx, writes, user, devices, now)
				p.drop(ctx, writes, user, slices.DeleteFunc(before, func(d model.DeviceID) bool { return slices.Contains(devices, d) }))
			}
		}
		p.mu.Unlock()
	}
	if !p.execute(ctx, writes) {
		return came // without Redis this node's word is what there is
	}
	return slices.DeleteFunc(came, func(user model.UserID) bool { return elsewhere[user].Val() > 0 })
}

// gone are those whose grace has passed.
func (p *Presence) gone(now time.Time) (users []model.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range p.leaving {
		if !p.present[user].leftAt.Add(p.Grace).After(now) {
			users = append(users, user)
		}
	}
	return users
}

// release takes this node's word back and answers who is offline by it.
func (p *Presence) release(ctx context.Context, users []model.UserID) (offline []PresenceState) {
	p.work.Lock()
	defer p.work.Unlock()
	writes := p.pipeline()
	elsewhere := map[model.UserID]*redis.IntCmd{}
	for _, user := range users {
		if len(p.devicesHere(user)) > 0 {
			continue // back; there is a note of it
		}
		p.mu.Lock()
		state := p.present[user]
		delete(p.present, user)
		delete(p.leaving, user)
		p.mu.Unlock()
		offline = append(offline, PresenceState{UserID: user, LastSeenAt: model.MillisOf(state.leftAt)})
		if writes != nil {
			p.drop(ctx, writes, user, state.devices)
			elsewhere[user] = writes.ZCount(ctx, p.key(user), score(p.Clock()), "+inf")
		}
	}
	if !p.execute(ctx, writes) {
		return offline
	}
	return slices.DeleteFunc(offline, func(s PresenceState) bool { return elsewhere[s.UserID].Val() > 0 })
}

// tell sends a frame to those who may know, no faster than the pace.
func (p *Presence) tell(ctx context.Context, state PresenceState) {
	if state.Online != (len(p.devicesHere(state.UserID)) > 0) {
		return // it has changed again; a note will tell
	}
	audience, err := p.Store.PresenceAudience(ctx, state.UserID, presenceAudience)
	if err != nil {
		p.Log.Debug("presence", "error", err)
		return
	}
	if len(audience) == 0 {
		return
	}
	p.Delivery.Notify(audience, encodeFrame(PresenceFrame{Type: "presence", UserID: state.UserID, Online: state.Online, LastSeenAt: state.LastSeenAt}))
	if pause(ctx, time.Duration(len(audience))*presencePace) != nil {
		return
	}
}

// Refresh renews this node's word in Redis and makes up for notes that were dropped. A job
// calls it every PresenceRefresh.
func (p *Presence) Refresh(ctx context.Context) error {
	seen := map[model.UserID]struct{}{}
	var users []model.UserID
	p.Delivery.each(func(s *Session) {
		if _, known := seen[s.Key.UserID]; !known {
			seen[s.Key.UserID] = struct{}{}
			users = append(users, s.Key.UserID)
		}
	})
	for part := range slices.Chunk(users, presenceBatch) {
		p.renew(ctx, part)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range seen {
		if p.present[user] == nil && len(p.changed) < presenceCapacity {
			p.changed[user] = struct{}{}
		}
	}
	for user, state := range p.present {
		if _, here := seen[user]; !here && state.leftAt.IsZero() && len(p.changed) < presenceCapacity {
			p.changed[user] = struct{}{}
		}
	}
	return nil
}

func (p *Presence) renew(ctx context.Context, users []model.UserID) {
	p.work.Lock()
	defer p.work.Unlock()
	writes := p.pipeline()
	if writes == nil {
		return
	}
	now := p.Clock()
	for _, user := range users {
		p.mu.Lock()
		told := p.present[user] != nil // else the worker's first word would find this one and tell nobody
		p.mu.Unlock()
		if devices := p.devicesHere(user); told && len(devices) > 0 {
			p.put(ctx, writes, user, devices, now)
			writes.ZRemRangeByScore(ctx, p.key(user), "-inf", "("+score(now))
		}
	}
	p.execute(ctx, writes)
}

// Of answers the presence of those of at most 100 users whom me may see, in the order asked.
func (p *Presence) Of(ctx context.Context, me model.UserID, users []model.UserID) ([]PresenceState, error) {
	seen, err := p.Store.SeenBy(ctx, me, users)
	if err != nil || len(seen) == 0 {
		return nil, err
	}
	last, err := p.Store.LastSeen(ctx, seen)
	if err != nil {
		return nil, err
	}
	online := p.online(ctx, seen)
	now := model.MillisOf(p.Clock())
	list := make([]PresenceState, 0, len(seen))
	for _, user := range users {
		i := slices.Index(seen, user)
		if i < 0 {
			continue
		}
		seen = slices.Delete(seen, i, i+1) // who is named twice is answered once
		state := PresenceState{UserID: user, Online: online[user], LastSeenAt: last[user]}
		if state.Online {
			state.LastSeenAt = now
		}
		list = append(list, state)
	}
	return list, nil
}

func (p *Presence) online(ctx context.Context, users []model.UserID) map[model.UserID]bool {
	online := make(map[model.UserID]bool, len(users))
	for _, user := range users {
		p.mu.Lock()
		here := p.present[user] != nil
		p.mu.Unlock()
		online[user] = here || len(p.devicesHere(user)) > 0
	}
	reads := p.pipeline()
	if reads == nil {
		return online
	}
	words := make(map[model.UserID]*redis.IntCmd, len(users))
	for _, user := range users {
		words[user] = reads.ZCount(ctx, p.key(user), score(p.Clock()), "+inf")
	}
	if p.execute(ctx, reads) {
		for user, word := range words {
			online[user] = online[user] || word.Val() > 0
		}
	}
	return online
}

// DevicesOf are a user's devices that are connected, to any node. Of other nodes they are those
// that were connected within the grace; without Redis only this node's are known.
func (p *Presence) DevicesOf(ctx context.Context, user model.UserID) map[model.DeviceID]bool {
	online := map[model.DeviceID]bool{}
	for _, device := range p.devicesHere(user) {
		online[device] = true
	}
	reads := p.pipeline()
	if reads == nil {
		return online
	}
	words := reads.ZRangeByScore(ctx, p.key(user), &redis.ZRangeBy{Min: score(p.Clock()), Max: "+inf"})
	if p.execute(ctx, reads) {
		for _, member := range words.Val() {
			if node, device, ok := strings.Cut(member, "/"); ok && node != p.Node {
				online[model.DeviceID(device)] = true
			}
		}
	}
	return online
}

func (p *Presence) devicesHere(user model.UserID) (devices []model.DeviceID) {
	for _, s := range p.Delivery.sessionsOf(user) {
		devices = append(devices, s.Key.DeviceID)
	}
	return devices
}

// pipeline is nil without Redis.
func (p *Presence) pipeline() redis.Pipeliner {
	if p.Redis == nil {
		return nil
	}
	return p.Redis.Pipeline()
}

// execute answers whether Redis has answered all of it.
func (p *Presence) execute(ctx context.Context, pipe redis.Pipeliner) bool {
	if pipe == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, presencePatience)
	defer cancel()
	if _, err := pipe.Exec(ctx); err != nil {
		metrics.redisErrors.Inc()
		return false
	}
	return true
}

func (p *Presence) key(user model.UserID) string {
	return p.prefix + strconv.FormatInt(int64(user), 10)
}

func (p *Presence) put(ctx context.Context, pipe redis.Pipeliner, user model.UserID, devices []model.DeviceID, now time.Time) {
	pipe.ZAdd(ctx, p.key(user), p.members(devices, now.Add(p.TTL))...)
	pipe.PExpire(ctx, p.key(user), 2*p.TTL)
}

func (p *Presence) drop(ctx context.Context, pipe redis.Pipeliner, user model.UserID, devices []model.DeviceID) {
	for _, device := range devices {
		pipe.ZRem(ctx, p.key(user), p.member(device))
	}
}

func (p *Presence) member(device model.DeviceID) string { return p.Node + "/" + string(device) }

func (p *Presence) members(devices []model.DeviceID, until time.Time) []redis.Z {
	members := make([]redis.Z, len(devices))
	for i, device := range devices {
		members[i] = redis.Z{Score: float64(until.UnixMilli()), Member: p.member(device)}
	}
	return members
}

func score(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
