package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// fakeService keeps the contract in memory as far as the generator uses it, and breaks it where a test says so. Every n-th
// send (0: never) is treated badly.
type fakeService struct {
	*httptest.Server
	t *testing.T

	losePush   int // in the mailbox of nobody
	doubled    int // twice in the recipient's mailbox
	skipPush   int // in the mailbox and not pushed: a hole for the socket
	pushTwice  int // the same entry again, as a retry does
	refuse     int // 503 once, then accepted
	hangUp     int // accepted, and the connection closed instead of an answer
	reject     int // 422
	stall      int // the service stands still for stallTime at this send
	goesBehind bool
	turnAway   int  // status that answers each device's first socket (not those of send); 0: none
	cutSockets bool // each device's first socket (not those of send) is closed with 1013 after two frames
	newest     int  // so many entries are all that a device gets that names no position; 0: all
	wrongAcks  int  // answers to acks that are one too high

	mu      sync.Mutex
	users   map[string]*fakeUser
	sends   int
	keys    map[string]bool
	refused map[string]bool
	renewed int
	acks    int
	expires time.Duration
	groups  map[string]*fakeGroup
	sockets sync.WaitGroup
}

type fakeUser struct {
	id      string
	entries []string // messages; seq is index + 1
	acked   int
	devices map[string]*fakeDevice
	sockets map[string]*fakeSocket
}

// fakeDevice is a device's position and what it acked beyond.
type fakeDevice struct {
	acked  int
	single map[string]bool // message ids
	turned bool            // its first socket was turned away
	cut    bool            // its first socket was closed
}

// look keeps the service as it is until the test ends: what was counted can be read.
func (f *fakeService) look() {
	f.mu.Lock()
	f.t.Cleanup(f.mu.Unlock)
}

// device is one of the user's, made when it is new.
func (u *fakeUser) device(name string) *fakeDevice {
	d := u.devices[name]
	if d == nil {
		d = &fakeDevice{single: map[string]bool{}}
		u.devices[name] = d
	}
	return d
}

// ack moves the device's position, also over what it acked singly.
func (u *fakeUser) ack(d *fakeDevice, upTo int, ids []string) {
	d.acked = max(d.acked, upTo)
	for _, id := range ids {
		d.single[id] = true
	}
	for d.acked < len(u.entries) {
		if id, _ := stringField([]byte(u.entries[d.acked]), `"message_id"`); !d.single[id] {
			break
		}
		d.acked++
	}
}

// fakeGroup is delivered by mailbox up to fakeMailboxLimit members, else by log.
type fakeGroup struct {
	id       string
	members  []*fakeUser
	messages []string // conversation_seq is index + 1
	log      bool
	acked    map[*fakeUser]int
}

const (
	fakeMailboxLimit = 5
	stallTime        = 300 * time.Millisecond
)

type fakeSocket struct {
	mu   sync.Mutex
	ws   *websocket.Conn
	slow bool // nobody reads it: what it does not take at once is dropped, with all that follows
}

func (s *fakeSocket) push(frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow {
		s.ws.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // the write tells
	}
	s.ws.WriteMessage(websocket.TextMessage, []byte(frame)) //nolint:errcheck // the client may have gone
}

func (s *fakeSocket) close(code int) {
	s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(5*time.Second)) //nolint:errcheck // the client may have gone
}

func reply(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, format, args...) // the client may have gone
}

func newFakeService(t *testing.T) *fakeService {
	t.Helper()
	f := &fakeService{t: t, users: map[string]*fakeUser{}, keys: map[string]bool{}, refused: map[string]bool{}, expires: time.Hour, groups: map[string]*fakeGroup{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/register", f.register)
	mux.HandleFunc("POST /v1/auth/refresh", f.refresh)
	mux.HandleFunc("POST /v1/messages", f.send)
	mux.HandleFunc("POST /v1/mailbox/ack", f.ack)
	mux.HandleFunc("POST /v1/mailbox/sync", f.sync)
	mux.HandleFunc("GET /v1/mailbox", f.mailbox)
	mux.HandleFunc("GET /v1/ws", f.socket)
	mux.HandleFunc("POST /v1/groups", f.makeGroup)
	mux.HandleFunc("POST /v1/groups/{id}/members", f.addMembers)
	mux.HandleFunc("GET /v1/groups/{id}", f.group)
	mux.HandleFunc("GET /v1/conversations/{id}/messages", f.history)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, "process_resident_memory_bytes 1e+08\ngo_memstats_heap_inuse_bytes 2e+07\ngo_memstats_stack_inuse_bytes 1e+06\n")
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
		f.sockets.Wait()
	})
	return f
}

func (f *fakeService) problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	reply(w, `{"title":"x","status":%d,"code":%q}`, status, code)
}

func (f *fakeService) decode(r *http.Request, into any) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		f.t.Errorf("%s: %v in %s", r.URL.Path, err, body)
	}
}

func (f *fakeService) tokens(w http.ResponseWriter, status int, id string) {
	w.WriteHeader(status)
	reply(w, `{"user":{"user_id":%q},"access_token":%q,"refresh_token":%q,"expires_at":%q}`, id, id, id, time.Now().Add(f.expires).UTC().Format(time.RFC3339Nano))
}

func (f *fakeService) register(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password string }
	f.decode(r, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	id := strconv.Itoa(1000 + len(f.users))
	f.users[id] = &fakeUser{id: id, devices: map[string]*fakeDevice{}, sockets: map[string]*fakeSocket{}}
	f.tokens(w, 201, id)
}

func (f *fakeService) refresh(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RefreshToken string `json:"refresh_token"`
	}
	f.decode(r, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	f.tokens(w, 200, in.RefreshToken)
}

func (f *fakeService) user(r *http.Request) *fakeUser {
	return f.users[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
}

func nth(n, every int) bool { return every > 0 && n%every == 0 }

func (f *fakeService) send(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ClientMsgID string `json:"client_msg_id"`
		ToUserID    string `json:"to_user_id"`
		Group       string `json:"conversation_id"`
		Type        string `json:"type"`
		Body        struct{ Text string }
	}
	f.decode(r, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to, group := f.user(r), f.users[in.ToUserID], f.groups[in.Group]
	if from == nil || (to == nil) == (group == nil) || in.Type != "text" || in.Body.Text == "" {
		f.problem(w, 422, "validation")
		return
	}
	if f.keys[in.ClientMsgID] {
		reply(w, `{"message":{},"duplicate":true}`)
		return
	}
	f.sends++
	n := f.sends
	if n == f.stall {
		pauseFor(r.Context(), stallTime) //nolint:errcheck // the client may have gone
	}
	switch {
	case nth(n, f.reject):
		f.problem(w, 422, "validation")
		return
	case nth(n, f.refuse) && !f.refused[in.ClientMsgID]:
		f.refused[in.ClientMsgID] = true
		f.problem(w, 503, "unavailable")
		return
	}
	f.keys[in.ClientMsgID] = true
	var message string
	if group != nil {
		times := 1
		if nth(n, f.doubled) {
			times = 2
		}
		for range times {
			message = group.append(n, in.ClientMsgID, in.Body.Text)
			f.fanOut(group, message, n)
		}
	} else {
		message = fmt.Sprintf(`{"message_id":"%d","client_msg_id":%q,"body":{"text":%q}}`, n, in.ClientMsgID, in.Body.Text)
		f.deliver(from, message, n)
		if !nth(n, f.losePush) {
			f.deliver(to, message, n)
		}
		if nth(n, f.doubled) {
			f.deliver(to, message, n)
		}
	}
	if nth(n, f.hangUp) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			f.t.Error(err)
			return
		}
		if err := nc.Close(); err != nil {
			f.t.Error(err)
		}
		return
	}
	w.WriteHeader(201)
	reply(w, `{"message":%s,"mailbox_seq":%d,"duplicate":false}`, message, len(from.entries))
}

func (f *fakeService) deliver(u *fakeUser, message string, n int) {
	u.entries = append(u.entries, message)
	for _, s := range u.sockets {
		switch frame := fmt.Sprintf(`{"type":"message","seq":%d,"attempt":1,"message":%s}`, len(u.entries), message); {
		case nth(n, f.skipPush):
		case f.goesBehind && n%10 == 0:
			s.push(fmt.Sprintf(`{"type":"behind","head":%d}`, len(u.entries)))
		case nth(n, f.pushTwice):
			s.push(frame)
			s.push(strings.Replace(frame, `"attempt":1`, `"attempt":2`, 1))
		default:
			s.push(frame)
		}
	}
}

func (f *fakeService) ack(w http.ResponseWriter, r *http.Request) {
	var in struct {
		DeviceID      string   `json:"device_id"`
		UpTo          int      `json:"up_to"`
		MessageIDs    []string `json:"message_ids"`
		Conversations []struct {
			ID   string `json:"conversation_id"`
			UpTo int    `json:"up_to"`
		}
	}
	f.decode(r, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.user(r)
	if in.UpTo > len(u.entries) {
		f.problem(w, 409, "position_lost")
		return
	}
	f.acks++
	for _, c := range in.Conversations {
		g := f.groups[c.ID]
		if g == nil || c.UpTo > len(g.messages) {
			f.problem(w, 409, "position_lost")
			return
		}
		g.acked[u] = max(g.acked[u], c.UpTo)
	}
	u.acked = max(u.acked, in.UpTo)
	d := u.device(in.DeviceID)
	u.ack(d, in.UpTo, in.MessageIDs)
	acked := d.acked
	if nth(f.acks, f.wrongAcks) {
		acked++
	}
	reply(w, `{"acked":%d}`, acked)
}

func (f *fakeService) sync(w http.ResponseWriter, r *http.Request) {
	var in struct {
		DeviceID     string `json:"device_id"`
		After, Limit int
	}
	f.decode(r, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.user(r)
	u.ack(u.device(in.DeviceID), in.After, nil)
	end := min(len(u.entries), in.After+min(in.Limit, 3)) // small pages, to have several
	var entries []string
	for seq := in.After + 1; seq <= end; seq++ {
		entries = append(entries, fmt.Sprintf(`{"seq":%d,"message":%s}`, seq, u.entries[seq-1]))
	}
	reply(w, `{"entries":[%s],"head":%d,"floor":1,"has_more":%t}`, strings.Join(entries, ","), len(u.entries), end < len(u.entries))
}

// mailbox tells the head only.
func (f *fakeService) mailbox(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reply(w, `{"entries":[],"head":%d,"floor":1,"has_more":false}`, len(f.user(r).entries))
}

func (f *fakeService) socket(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	u := f.user(r)
	f.mu.Unlock()
	if u == nil {
		f.problem(w, 401, "unauthenticated")
		return
	}
	name := r.URL.Query().Get("device_id")
	f.mu.Lock()
	d := u.device(name)
	turn := f.turnAway != 0 && name != device && !d.turned
	d.turned = d.turned || turn
	cut := f.cutSockets && name != device && !d.cut
	d.cut = d.cut || cut
	f.mu.Unlock()
	if turn {
		f.problem(w, f.turnAway, "unavailable")
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	s, device := &fakeSocket{ws: ws, slow: name == slowDevice}, name
	f.mu.Lock()
	f.sockets.Add(1)
	s.push(fmt.Sprintf(`{"type":"hello","device_id":%q,"head":%d}`, device, len(u.entries)))
	held := 0
	if f.newest > 0 {
		held = max(0, d.acked, len(u.entries)-f.newest)
	}
	if last := r.URL.Query().Get("last_seq"); last != "" {
		var err error
		if held, err = strconv.Atoi(last); err != nil || held > len(u.entries) {
			f.t.Errorf("reconnected at %s, the head is %d", last, len(u.entries))
		}
	}
	switch {
	case f.goesBehind && held > 0:
		s.push(fmt.Sprintf(`{"type":"behind","head":%d}`, len(u.entries)))
	default:
		for seq := held + 1; seq <= len(u.entries); seq++ { // new, or under way when the last run ended
			s.push(fmt.Sprintf(`{"type":"message","seq":%d,"attempt":1,"message":%s}`, seq, u.entries[seq-1]))
			if cut && seq == held+2 {
				s.push(`{"type":"bye","code":1013,"retry_after_ms":5}`)
				s.close(1013)
				break
			}
		}
	}
	u.sockets[device] = s
	f.mu.Unlock()
	go func() {
		defer f.sockets.Done()
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				break
			}
		}
		f.mu.Lock()
		if u.sockets[device] == s { // and not a later one's
			delete(u.sockets, device)
		}
		f.mu.Unlock()
		ws.Close() //nolint:errcheck // it has ended already
	}()
}
