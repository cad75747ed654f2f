package bench

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func (f *fakeService) makeGroup(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	g := &fakeGroup{id: strconv.Itoa(9000 + len(f.groups)), acked: map[*fakeUser]int{}}
	g.members = append(g.members, f.user(r))
	f.groups[g.id] = g
	f.mu.Unlock()
	f.grow(g, r)
	w.WriteHeader(201)
	f.write(w, g)
}

func (f *fakeService) addMembers(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	g := f.groups[r.PathValue("id")]
	f.mu.Unlock()
	f.grow(g, r)
	w.WriteHeader(204)
}

func (f *fakeService) group(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	g := f.groups[r.PathValue("id")]
	f.mu.Unlock()
	f.write(w, g)
}

func (f *fakeService) write(w http.ResponseWriter, g *fakeGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delivery := "mailbox"
	if g.log {
		delivery = "log"
	}
	reply(w, `{"conversation_id":%q,"kind":"group","head":%d,"delivery":%q}`, g.id, len(g.messages), delivery)
}

// grow adds members, with a notice that tells of it.
func (f *fakeService) grow(g *fakeGroup, r *http.Request) {
	var in struct {
		Name      string
		MemberIDs []string `json:"member_ids"`
	}
	f.decode(r, &in)
	if len(in.MemberIDs) > addMembers {
		f.t.Errorf("%d members in one call, the contract has at most %d", len(in.MemberIDs), addMembers)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range in.MemberIDs {
		g.members = append(g.members, f.users[id])
	}
	g.log = len(g.members) > fakeMailboxLimit
	notice := fmt.Sprintf(`{"message_id":"%d","conversation_id":%q,"conversation_seq":%d,"client_msg_id":"","type":"notice","body":{}}`, 1_000_000_000, g.id, len(g.messages)+1)
	g.messages = append(g.messages, notice)
	f.fanOut(g, notice, 1)
}

func (g *fakeGroup) append(n int, clientMsgID, text string) string {
	message := fmt.Sprintf(`{"message_id":"%d","conversation_id":%q,"conversation_seq":%d,"client_msg_id":%q,"type":"text","body":{"text":%q}}`, n, g.id, len(g.messages)+1, clientMsgID, text)
	g.messages = append(g.messages, message)
	return message
}

// fanOut delivers to all members; what a test wants broken is broken for the last of them.
func (f *fakeService) fanOut(g *fakeGroup, message string, n int) {
	for i, u := range g.members {
		last := i == len(g.members)-1
		switch {
		case last && nth(n, f.losePush):
		case g.log:
			f.pushLog(g, u, message, n, last)
		case last:
			f.deliver(u, message, n)
		default:
			f.deliver(u, message, 1)
		}
	}
}

func (f *fakeService) pushLog(g *fakeGroup, u *fakeUser, message string, n int, last bool) {
	frame := fmt.Sprintf(`{"type":"message","attempt":1,"message":%s}`, message)
	for _, s := range u.sockets {
		switch {
		case last && nth(n, f.skipPush):
		case last && f.goesBehind && n%10 == 0:
			s.push(fmt.Sprintf(`{"type":"behind","conversation_id":%q,"head":%d}`, g.id, len(g.messages)))
		case last && nth(n, f.pushTwice):
			s.push(frame)
			s.push(strings.Replace(frame, `"attempt":1`, `"attempt":2`, 1))
		default:
			s.push(frame)
		}
	}
}

// history answers small pages, to have several.
func (f *fakeService) history(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after_seq"))
	if err != nil {
		f.t.Errorf("after_seq: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[r.PathValue("id")]
	end := min(len(g.messages), after+3)
	reply(w, `{"messages":[%s],"head":%d,"has_more":%t}`, strings.Join(g.messages[min(after, end):end], ","), len(g.messages), end < len(g.messages))
}
