package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// absent is an id that nothing has.
const absent = "9007199254740993"

// verdict is what somebody gets who reaches for what is not theirs.
type verdict struct {
	status int    // 0: any, but the same as for what does not exist
	code   string // unless empty
}

var (
	unseen = verdict{status: http.StatusNotFound, code: "not_found"}
	denied = verdict{status: http.StatusForbidden, code: "forbidden"}
	alike  = verdict{}
)

// reach is one way to reach for an object with a call. In path parameters, query and body $user $conversation $group
// $message $device and $direct stand for the objects; exactly those named by of are, in turn, real and absent.
type reach struct {
	path  map[string]string // parameters that are not simply the object of their name
	query string
	body  string
	of    []string // which of $user … become absent for the comparison
	as    map[string]verdict
}

// outside is the verdict for all who do not belong: a stranger and a former member.
func outside(v verdict) map[string]verdict { return map[string]verdict{"stranger": v, "former": v} }

// staffOnly is outside, and a plain member is refused too.
func staffOnly() map[string]verdict {
	return map[string]verdict{"stranger": unseen, "former": unseen, "member": denied}
}

// conversational is a call on a conversation that only its members may make, tried on a group's and on a direct one.
func conversational(query, body string) []reach {
	return []reach{
		{path: map[string]string{"conversation_id": "$group"}, query: query, body: body, of: []string{"group"}, as: outside(unseen)},
		{path: map[string]string{"conversation_id": "$direct"}, query: query, body: body, of: []string{"direct"}, as: outside(unseen)},
	}
}

func grouped(query, body string) []reach {
	return []reach{
		{query: query, body: body, of: []string{"group"}, as: outside(unseen)},
		// A direct conversation is no group, for those who are in it neither.
		{path: map[string]string{"group_id": "$direct"}, query: query, body: body, of: []string{"direct"}, as: map[string]verdict{"stranger": unseen, "former": unseen, "member": unseen, "owner": unseen}},
	}
}

// byStaff is a call on a group that its owner and admins make.
func byStaff(body string) []reach {
	return append(grouped("", body), reach{body: body, as: map[string]verdict{"member": denied}})
}

// onMember is a call of staff on one of the members. The owner who names somebody outside learns nothing about them.
func onMember(body string) []reach {
	return []reach{
		{path: map[string]string{"user_id": "$mate"}, body: body, of: []string{"group"}, as: outside(unseen)},
		{path: map[string]string{"user_id": "$mate"}, body: body, of: []string{"mate"}, as: outside(unseen)},
		{path: map[string]string{"user_id": "$mate"}, body: body, as: map[string]verdict{"member": denied}},
		{path: map[string]string{"user_id": "$outsider"}, body: body, of: []string{"outsider"}, as: map[string]verdict{"owner": unseen}},
	}
}

// onMessage is a call on a message that only those who see it may make.
func onMessage(query, body string) []reach {
	return []reach{
		{query: query, body: body, of: []string{"message"}, as: outside(unseen)},
		{path: map[string]string{"message_id": "$early"}, query: query, body: body, of: []string{"early"}, as: outside(unseen)},
		{path: map[string]string{"message_id": "$whisper"}, query: query, body: body, of: []string{"whisper"}, as: outside(unseen)},
	}
}

const draft = `"client_msg_id":"$fresh","type":"text","body":{"text":"let me in"}`

// reaches has every call of the description that needs a token: how to reach with it for what is another's, and what comes
// of it. A call that names nothing of others has an empty list; the test refuses that when it takes an id.
var reaches = map[string][]reach{
	"POST /v1/auth/logout":    {}, // the refresh token is the proof; see TestAbuse/tokens
	"POST /v1/auth/password":  {}, // the password is the proof, and only one's own can be changed
	"POST /v1/auth/ws-ticket": {},
	"GET /v1/users/me":        {},
	"PATCH /v1/users/me":      {},
	"GET /v1/users":           {}, // accounts are public
	"GET /v1/ids":             {},
	"GET /v1/conversations":   {},
	"GET /v1/devices":         {},
	"GET /v1/mailbox":         {},
	"POST /v1/files":          {}, // names nothing; see the files of the suite
	"GET /v1/files/limits":    {},
	"GET /v1/users/profiles":  {{query: "user_ids=" + absent, as: outside(alike)}}, // accounts are public; who is not is left out
	"GET /v1/users/blocked":   {},                                                  // only the caller's own list

	"GET /v1/users/presence":           {{query: "user_ids=$mate", of: []string{"mate"}, as: outside(alike)}}, // left out
	"GET /v1/users/{user_id}":          {{path: map[string]string{"user_id": absent}, as: outside(unseen)}},   // accounts are public
	"PUT /v1/users/{user_id}/block":    {{path: map[string]string{"user_id": absent}, as: outside(unseen)}},   // only the caller's own list
	"DELETE /v1/users/{user_id}/block": {{path: map[string]string{"user_id": absent}, as: outside(unseen)}},

	"GET /v1/conversations/{conversation_id}":          conversational("", ""),
	"PATCH /v1/conversations/{conversation_id}":        conversational("", `{"pinned":true}`),
	"GET /v1/conversations/{conversation_id}/messages": append(conversational("after_seq=0", ""), conversational("before_seq=99", "")...),
	"GET /v1/conversations/{conversation_id}/receipts": conversational("", ""),
	"POST /v1/conversations/{conversation_id}/read":    conversational("", `{"up_to":1}`),
	"POST /v1/conversations/{conversation_id}/typing":  conversational("", ""),

	"POST /v1/groups": {
		{body: `{"name":"x","member_ids":["` + absent + `"]}`, as: outside(unseen)}, // accounts are public, and may be invited
	},
	"GET /v1/groups/{group_id}":         grouped("", ""),
	"PATCH /v1/groups/{group_id}":       byStaff(`{"name":"taken over"}`),
	"DELETE /v1/groups/{group_id}":      byStaff(""),
	"GET /v1/groups/{group_id}/members": append(grouped("", ""), grouped("cursor=1", "")...),
	"POST /v1/groups/{group_id}/members": {
		{body: `{"member_ids":["$self"]}`, of: []string{"group"}, as: outside(verdict{})}, // naming only oneself is 422
		{body: `{"member_ids":["$outsider"]}`, of: []string{"group"}, as: outside(unseen)},
		{body: `{"member_ids":["$outsider"]}`, as: map[string]verdict{"member": denied}},
	},
	"DELETE /v1/groups/{group_id}/members/{user_id}":   append(onMember(""), reach{path: map[string]string{"user_id": "$self"}, of: []string{"group"}, as: outside(unseen)}),
	"PUT /v1/groups/{group_id}/members/{user_id}/role": append(onMember(`{"role":"member"}`), reach{path: map[string]string{"user_id": "$self"}, body: `{"role":"owner"}`, as: staffOnly()}),
	"PUT /v1/groups/{group_id}/members/{user_id}/mute": append(onMember(`{"seconds":60}`), reach{path: map[string]string{"user_id": "$self"}, body: `{"seconds":0}`, as: staffOnly()}),

	"GET /v1/files/{file_id}": {
		{of: []string{"file"}, as: outside(unseen)},
		{path: map[string]string{"file_id": "$prefile"}, of: []string{"prefile"}, as: outside(unseen)},
		{path: map[string]string{"file_id": "$ownfile"}, of: []string{"ownfile"}, as: map[string]verdict{"stranger": unseen, "former": unseen, "member": unseen}},
	},

	"POST /v1/messages": {
		{body: `{"client_msg_id":"$fresh","to_user_id":"$user","type":"file","body":{"file_id":"$file"}}`, of: []string{"file"}, as: outside(unseen)},
		{body: `{"client_msg_id":"$fresh","conversation_id":"$group","type":"file","body":{"file_id":"$ownfile"}}`, of: []string{"ownfile"}, as: map[string]verdict{"member": unseen}},
		{body: `{` + draft + `,"conversation_id":"$group"}`, of: []string{"group"}, as: outside(unseen)},
		{body: `{` + draft + `,"conversation_id":"$direct"}`, of: []string{"direct"}, as: outside(unseen)},
		{body: `{` + draft + `,"to_user_id":"$user","reply_to":"$message"}`, of: []string{"message"}, as: outside(alike)},
		{body: `{` + draft + `,"to_user_id":"$user","reply_to":"$early"}`, of: []string{"early"}, as: outside(alike)},
		{body: `{` + draft + `,"to_user_id":"$user","reply_to":"$whisper"}`, of: []string{"whisper"}, as: outside(alike)},
		{body: `{"client_msg_id":"$key","conversation_id":"$group","type":"text","body":{"text":"another's key"}}`, of: []string{"group"}, as: outside(unseen)},
	},
	"GET /v1/messages/deleted":               {},
	"DELETE /v1/messages/{message_id}":       onMessage("", ""),
	"GET /v1/messages/{message_id}/receipts": append(onMessage("", ""), onMessage("cursor=1&limit=2", "")...),
	"GET /v1/messages/{message_id}/trace":    append(onMessage("", ""), reach{as: map[string]verdict{"member": denied}}),
	"POST /v1/messages/{message_id}/recall":  append(onMessage("", ""), reach{as: map[string]verdict{"member": denied}}),

	"DELETE /v1/devices/{device_id}": {{of: []string{"device"}, as: map[string]verdict{"former": unseen, "member": unseen}}}, // as stranger, sync and ack make it
	"GET /v1/mailbox/summary":        {{query: "device_id=$device", of: []string{"device"}, as: map[string]verdict{"stranger": alike}}},
	"POST /v1/mailbox/sync": {
		{body: `{"device_id":"$device","after":0}`, of: []string{"device"}, as: map[string]verdict{"stranger": alike}},
		{body: `{"device_id":"mine","after":$position}`, as: map[string]verdict{"stranger": {status: http.StatusConflict, code: "position_lost"}}},
		{body: `{"device_id":"mine","after":1,"after_id":"$message"}`, of: []string{"message"}, as: outside(verdict{status: http.StatusConflict, code: "position_lost"})},
	},
	"POST /v1/mailbox/ack": {
		{body: `{"device_id":"$device","up_to":0}`, of: []string{"device"}, as: map[string]verdict{"stranger": alike}},
		{body: `{"device_id":"mine","up_to":$position}`, as: map[string]verdict{"stranger": {status: http.StatusConflict, code: "position_lost"}}},
		{body: `{"device_id":"mine","up_to":1,"up_to_id":"$message"}`, of: []string{"message"}, as: outside(verdict{status: http.StatusConflict, code: "position_lost"})},
		{body: `{"device_id":"mine","message_ids":["$message"]}`, of: []string{"message"}, as: outside(alike)},
		{body: `{"device_id":"mine","message_ids":["$whisper"]}`, of: []string{"whisper"}, as: outside(alike)},
		{body: `{"device_id":"mine","conversations":[{"conversation_id":"$group","up_to":1}]}`, of: []string{"group"}, as: outside(alike)},
		{body: `{"device_id":"mine","conversations":[{"conversation_id":"$direct","up_to":1}]}`, of: []string{"direct"}, as: outside(alike)},
	},
	"GET /v1/ws": {}, // by dialling: see foreignPositions
}

// operators is the entry of all calls under /v1/admin: whoever is no operator is told so, whatever they name.
var operators = []reach{{
	path: map[string]string{"node": "0", "name": "sweep"},
	of:   []string{"user", "message", "group", "device"},
	as:   map[string]verdict{"stranger": denied, "former": denied, "member": denied, "owner": denied},
}}

func isOperators(call string) bool { return strings.Contains(call, " /v1/admin/") }

// scene is some people, what they have, and who has no business there.
type scene struct {
	*system
	owner, member, mate, former, stranger, outsider *actor
	objects                                         map[string]string
}

// newScene: the owner has a group with member, mate and, once, former; and a direct conversation with member. stranger and
// outsider belong to neither.
func newScene(t *testing.T, s *system) *scene {
	people := s.users(t, 6)
	w := &scene{system: s, owner: people[0], member: people[1], mate: people[2], former: people[3], stranger: people[4], outsider: people[5]}
	group := w.owner.group(w.member, w.mate, w.former)
	early := w.owner.say(group, "while former was here")
	earlyFile := w.owner.upload("early.bin", "application/octet-stream", []byte("while former was here"))
	w.owner.sendFile(group, earlyFile)
	if err := w.owner.RemoveMember(within(t, patience), group, w.former.id()); err != nil {
		t.Fatal(err)
	}
	key := uuid.NewString()
	late := w.owner.sendDraft(client.Draft{ClientMsgID: key, ConversationID: group, Type: "text", Body: map[string]any{"text": "after former had left"}})
	file, unsent := w.owner.upload("late.bin", "application/octet-stream", []byte("after former had left")), w.owner.upload("unsent.bin", "application/octet-stream", []byte("for nobody yet"))
	w.owner.sendFile(group, file)
	whisper := w.member.send(w.owner, "between us")
	w.stranger.send(w.outsider, "elsewhere") // so that a seq 1 is theirs
	w.owner.ack("owners-laptop", 2, 2)
	w.objects = map[string]string{
		"user": string(w.owner.id()), "mate": string(w.mate.id()), "outsider": string(w.outsider.id()), "group": string(group),
		"direct": string(whisper.Message.ConversationID), "message": string(late.Message.MessageID), "early": string(early.Message.MessageID),
		"whisper": string(whisper.Message.MessageID), "device": "owners-laptop", "position": "3", "key": key,
		"file": file.FileID, "prefile": earlyFile.FileID, "ownfile": unsent.FileID,
	}
	return w
}

// views is all that the members see, for a comparison with later.
func (w *scene) views(t *testing.T) string {
	t.Helper()
	group, direct := w.objects["group"], w.objects["direct"]
	paths := []string{"/v1/users/me", "/v1/conversations", "/v1/devices", "/v1/mailbox", "/v1/mailbox/summary?device_id=owners-laptop", "/v1/groups/" + group, "/v1/groups/" + group + "/members"}
	for _, id := range []string{group, direct} {
		paths = append(paths, "/v1/conversations/"+id+"/messages", "/v1/conversations/"+id+"/receipts")
	}
	var all strings.Builder
	for _, who := range []*actor{w.owner, w.member} {
		for _, path := range paths {
			answer, err := w.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path, Token: who.AccessToken})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != http.StatusOK {
				t.Fatalf("GET %s: %d: %s", path, answer.Status, answer.Body)
			}
			fmt.Fprintf(&all, "%s %s: %s\n", who.User.Username, path, answer.Body)
		}
	}
	return all.String()
}

// fill puts the objects in; those of missing are absent.
func (w *scene) fill(text string, who *actor, missing []string) string {
	pairs := []string{"$self", string(who.id()), "$fresh", uuid.NewString()}
	for name, id := range w.objects {
		if slices.Contains(missing, name) {
			if id = absent; name == "device" {
				id = "nobodys-laptop"
			}
		}
		pairs = append(pairs, "$"+name, id)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

var pathParameter = regexp.MustCompile(`\{([^}]+)\}`)

// ownName is the object that a path parameter names unless told otherwise.
var ownName = map[string]string{"user_id": "$user", "group_id": "$group", "conversation_id": "$group", "message_id": "$message", "device_id": "$device", "file_id": "$file"}

// request is a reach for real objects, or for ones that do not exist.
func (w *scene) request(t *testing.T, call string, r reach, who *actor, missing []string) client.Request {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	path = pathParameter.ReplaceAllStringFunc(path, func(parameter string) string {
		name := strings.Trim(parameter, "{}")
		value, given := r.path[name]
		if !given {
			value = ownName[name]
		}
		if value == "" {
			t.Fatalf("%s: what is {%s}? Say it in ownName or in the entry's path", call, name)
		}
		return url.PathEscape(w.fill(value, who, missing))
	})
	if r.query != "" {
		path += "?" + w.fill(r.query, who, missing)
	}
	request := client.Request{Method: method, Path: path, Token: who.AccessToken}
	if r.body != "" {
		request.Raw = []byte(w.fill(r.body, who, missing))
	}
	return request
}

// told is an answer without what differs from one answer to the next.
func told(t *testing.T, answer client.Answer) string {
	t.Helper()
	if len(answer.Body) == 0 {
		return fmt.Sprint(answer.Status)
	}
	var body map[string]any
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		t.Fatalf("%d: %v: %.200s", answer.Status, err, answer.Body)
	}
	delete(body, "request_id")
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s %s", answer.Status, answer.Header.Get("Content-Type"), text)
}

// try reaches as somebody and checks the verdict, and that real and absent objects are not told apart.
func (w *scene) try(t *testing.T, call string, r reach, role string, who *actor, want verdict) {
	t.Helper()
	do := func(missing []string) client.Answer {
		answer, err := w.client.Do(within(t, patience), w.request(t, call, r, who, missing))
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	existing := do(nil)
	if want.status != 0 {
		problem, err := existing.Problem()
		if err != nil || problem.Status != want.status || problem.Code != want.code {
			t.Errorf("%s %+v as %s: got %d %.300s, want %d %s", call, r, role, existing.Status, existing.Body, want.status, want.code)
		}
	}
	if len(r.of) == 0 {
		return
	}
	if got, other := told(t, existing), told(t, do(r.of)); got != other {
		t.Errorf("%s %+v as %s tells what exists:\n real:   %s\n absent: %s", call, r, role, got, other)
	}
}

// described is the calls of the description that need a token, with whether they take any id.
func (s *system) described(t *testing.T) map[string]bool {
	t.Helper()
	var doc struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(s.get(t, "/openapi.json").Body, &doc); err != nil {
		t.Fatal(err)
	}
	calls := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			var op struct {
				Security    []map[string][]string `json:"security"`
				Parameters  []struct{ Name string }
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							Ref string `json:"$ref"`
						}
					}
				}
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			if len(op.Security) == 1 && len(op.Security[0]) == 0 { // public
				continue
			}
			names := len(pathParameter.FindAllString(path, -1)) > 0
			for _, parameter := range op.Parameters {
				names = names || namesObject(parameter.Name)
			}
			for _, content := range op.RequestBody.Content {
				schema := content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:]
				var object struct{ Properties map[string]json.RawMessage }
				if err := json.Unmarshal(doc.Components.Schemas[schema], &object); err != nil {
					t.Fatalf("%s %s: its body %q: %v", method, path, schema, err)
				}
				for name := range object.Properties {
					names = names || namesObject(name)
				}
			}
			calls[strings.ToUpper(method)+" "+path] = names
		}
	}
	if len(calls) < 25 {
		t.Fatalf("the description has %d calls that need a token", len(calls))
	}
	return calls
}

func namesObject(parameter string) bool {
	return strings.HasSuffix(parameter, "_id") || strings.HasSuffix(parameter, "_ids")
}

// foreignObjects: whoever has no business with an object is answered as if it did not exist, by every call there is, and
// changes nothing.
func foreignObjects(t *testing.T, s *system) {
	w := newScene(t, s)
	calls := s.described(t)
	for call := range reaches {
		if _, there := calls[call]; !there {
			t.Errorf("%s has an entry and is not in the description", call)
		}
	}
	roles := map[string]*actor{"stranger": w.stranger, "former": w.former, "member": w.member, "owner": w.owner}
	before := w.views(t)
	for call, names := range calls {
		t.Run(call, func(t *testing.T) {
			entry, there := reaches[call]
			if isOperators(call) {
				entry, there = operators, !there
			}
			if !there {
				t.Fatalf("%s has no entry in reaches: say how a stranger reaches with it for what is another's", call)
			}
			if len(entry) == 0 && names && call != "GET /v1/ws" {
				t.Errorf("%s takes an id; its entry may not be empty", call)
			}
			for _, r := range entry {
				for role, want := range r.as {
					w.try(t, call, r, role, roles[role], want)
				}
				w.nobody(t, call, r)
			}
			if after := w.views(t); after != before {
				t.Fatalf("%s changed something:\nbefore: %s\nafter:  %s", call, before, after)
			}
		})
	}
}

// nobody reaches without a token, and with a strange one.
func (w *scene) nobody(t *testing.T, call string, r reach) {
	t.Helper()
	for _, token := range []string{"", "strange"} {
		var answers []string
		for _, missing := range [][]string{nil, r.of} {
			request := w.request(t, call, r, w.stranger, missing)
			request.Token = token
			answer, err := w.client.Do(within(t, patience), request)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != http.StatusUnauthorized {
				t.Errorf("%s %+v with token %q: got %d, want 401", call, r, token, answer.Status)
			}
			answers = append(answers, told(t, answer))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s %+v with token %q tells what exists: %s and %s", call, r, token, answers[0], answers[1])
		}
	}
}

// foreignPositions: a socket that is opened with another's message as its position learns nothing from it.
func foreignPositions(t *testing.T, s *system) {
	w := newScene(t, s)
	before := w.views(t)
	one := int64(1)
	for name, id := range map[string]string{"another's message": w.objects["message"], "another's first": w.objects["whisper"], "nothing": absent} {
		hello := (&actor{Session: w.stranger.Session, t: t}).open(client.Dial{Device: "mine", LastSeq: &one, LastID: client.MessageID(id)}).hello
		if !hello.Reset || hello.Acked != 0 || hello.Head != 1 || hello.UserID != w.stranger.id() {
			t.Errorf("%s: got %s, want a reset of one's own mailbox", name, hello.Raw)
		}
	}
	// The device name of another is one's own device of that name.
	hello := w.stranger.open(client.Dial{Device: w.objects["device"]}).hello
	if hello.Acked != 0 || hello.Head != 1 || hello.UserID != w.stranger.id() {
		t.Errorf("another's device name: got %s", hello.Raw)
	}
	if after := w.views(t); after != before {
		t.Errorf("something changed:\nbefore: %s\nafter:  %s", before, after)
	}
}
