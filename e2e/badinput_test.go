package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// Sets of statuses that the contract allows for one mistake.
var (
	unprocessable = []int{http.StatusUnprocessableEntity}
	// malformed: the contract doesn't say which of the two unreadable JSON is.
	malformed = []int{http.StatusBadRequest, http.StatusUnprocessableEntity}
	tooLarge  = []int{http.StatusRequestEntityTooLarge}
	notFound  = []int{http.StatusNotFound}
	// badPath: an id that can't exist is bad, or simply isn't there.
	badPath = []int{http.StatusNotFound, http.StatusUnprocessableEntity}
)

// answers sends a raw request and checks that it is refused with one of the statuses and a well-formed problem.
func (a *actor) answers(t *testing.T, r client.Request, statuses []int) *client.Problem {
	t.Helper()
	r.Token = a.AccessToken
	return answers(t, a.Client(), r, statuses)
}

func answers(t *testing.T, c *client.Client, r client.Request, statuses []int) *client.Problem {
	t.Helper()
	answer, err := c.Do(within(t, patience), r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(statuses, answer.Status) {
		t.Fatalf("%s %s: got %d, want %v: %.300s", r.Method, r.Path, answer.Status, statuses, answer.Body)
	}
	problem, err := answer.Problem()
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return problem
}

// badSends: each is refused and stores nothing. $KEY, $TO and $ME are filled in.
func badSends(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	const good = `"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":"hi"}`
	cases := map[string]struct {
		body     string
		statuses []int
	}{
		"unknown field":             {`{` + good + `,"colour":"blue"}`, unprocessable},
		"unknown field of the body": {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":"hi","colour":"blue"}}`, unprocessable},
		"server's field":            {`{` + good + `,"conversation_seq":1}`, unprocessable},
		"no type":                   {`{"client_msg_id":"$KEY","to_user_id":"$TO","body":{"text":"hi"}}`, unprocessable},
		"unknown type":              {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"telepathy","body":{"text":"hi"}}`, unprocessable},
		"type recall":               {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"recall","body":{"message_id":"1"}}`, unprocessable},
		"type notice":               {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"notice","body":{"text":"hi"}}`, unprocessable},
		"type a number":             {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":1,"body":{"text":"hi"}}`, unprocessable},
		"no body":                   {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text"}`, unprocessable},
		"body null":                 {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":null}`, unprocessable},
		"body a string":             {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":"hi"}`, unprocessable},
		"body a list":               {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":["hi"]}`, unprocessable},
		"body empty":                {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{}}`, unprocessable},
		"text a number":             {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":5}}`, unprocessable},
		"text null":                 {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":null}}`, unprocessable},
		"text empty":                {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":""}}`, unprocessable},
		"text blank":                {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":" \t\r\n "}}`, unprocessable},
		"text blank beyond ASCII":   {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":"\u00a0\u2003\u3000"}}`, unprocessable},
		"text too long":             {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":"` + strings.Repeat("x", 10_001) + `"}}`, unprocessable},
		"text too long, emoji":      {`{"client_msg_id":"$KEY","to_user_id":"$TO","type":"text","body":{"text":"` + strings.Repeat("🦊", 10_001) + `"}}`, unprocessable},
		"ext a list":                {`{` + good + `,"ext":[]}`, unprocessable},
		"ext a string":              {`{` + good + `,"ext":"x"}`, unprocessable},
		"ext too large":             {`{` + good + `,"ext":{"x":"` + strings.Repeat("x", 65<<10) + `"}}`, []int{http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge}},
		"key a number":              {`{"client_msg_id":5,"to_user_id":"$TO","type":"text","body":{"text":"hi"}}`, unprocessable},
		"key empty":                 {`{"client_msg_id":"","to_user_id":"$TO","type":"text","body":{"text":"hi"}}`, unprocessable},
		"no key":                    {`{"to_user_id":"$TO","type":"text","body":{"text":"hi"}}`, unprocessable},
		"key far too long":          {`{"client_msg_id":"` + strings.Repeat("k", 5000) + `","to_user_id":"$TO","type":"text","body":{"text":"hi"}}`, unprocessable},
		"to nobody":                 {`{"client_msg_id":"$KEY","type":"text","body":{"text":"hi"}}`, unprocessable},
		"to two places":             {`{"client_msg_id":"$KEY","to_user_id":"$TO","conversation_id":"1","type":"text","body":{"text":"hi"}}`, unprocessable},
		"user unknown":              {`{"client_msg_id":"$KEY","to_user_id":"9007199254740993","type":"text","body":{"text":"hi"}}`, notFound},
		"user the greatest id":      {`{"client_msg_id":"$KEY","to_user_id":"9223372036854775807","type":"text","body":{"text":"hi"}}`, notFound},
		"conversation unknown":      {`{"client_msg_id":"$KEY","conversation_id":"9007199254740993","type":"text","body":{"text":"hi"}}`, notFound},
		"reply to nothing":          {`{` + good + `,"reply_to":"9007199254740993"}`, badPath},
		"reply to a number":         {`{` + good + `,"reply_to":5}`, unprocessable},
	}
	for name, id := range map[string]string{
		"number": `12345`, "zero": `"0"`, "negative": `"-1"`, "2^63": `"9223372036854775808"`, "2^64": `"18446744073709551616"`, "30 digits": `"` + strings.Repeat("9", 30) + `"`,
		"letters": `"abc"`, "hex": `"0x1f"`, "fraction": `"1.5"`, "exponent": `"1e3"`, "space": `" 1"`, "plus": `"+1"`, "empty": `""`,
		"other digits": `"١٢٣"`, "list": `["1"]`, "object": `{}`, "true": `true`,
	} {
		for _, field := range []string{"to_user_id", "conversation_id"} {
			cases[field+" "+name] = struct {
				body     string
				statuses []int
			}{fmt.Sprintf(`{"client_msg_id":"$KEY",%q:%s,"type":"text","body":{"text":"hi"}}`, field, id), unprocessable}
		}
		if id != `""` {
			cases["reply_to "+name] = struct {
				body     string
				statuses []int
			}{`{` + good + `,"reply_to":` + id + `}`, unprocessable}
		}
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			body := strings.NewReplacer("$KEY", uuid.NewString(), "$TO", string(bob.id()), "$ME", string(alice.id())).Replace(want.body)
			alice.answers(t, client.Request{Method: http.MethodPost, Path: "/v1/messages", Raw: []byte(body)}, want.statuses)
		})
	}
	if n := len(bob.wholeMailbox()) + len(alice.wholeMailbox()); n != 0 {
		t.Errorf("%d entries were stored, want none", n)
	}
	alice.send(bob, "after all that")
}

// badBodies: what is no JSON object of the call's shape, at every call that reads a body.
func badBodies(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	calls := []struct{ method, path, good string }{
		{http.MethodPost, "/v1/messages", `{"client_msg_id":"` + uuid.NewString() + `","to_user_id":"` + string(bob.id()) + `","type":"text","body":{"text":"$"}}`},
		{http.MethodPost, "/v1/auth/register", `{"username":"` + freshName() + `","password":"$ and more"}`},
		{http.MethodPost, "/v1/auth/login", `{"username":"` + alice.User.Username + `","password":"$ and more"}`},
		{http.MethodPost, "/v1/auth/refresh", `{"refresh_token":"$"}`},
		{http.MethodPost, "/v1/auth/logout", `{"refresh_token":"$"}`},
		{http.MethodPost, "/v1/auth/password", `{"password":"$","new_password":"$ and more"}`},
		{http.MethodPatch, "/v1/users/me", `{"display_name":"$"}`},
		{http.MethodPost, "/v1/mailbox/sync", `{"after":0,"device_id":"$"}`},
		{http.MethodPost, "/v1/mailbox/ack", `{"up_to":0,"device_id":"$"}`},
	}
	for _, call := range calls {
		inner := strings.TrimSuffix(call.good, "}")
		nested := inner + `,"ext":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}}`
		for name, want := range map[string]struct {
			body     string
			statuses []int
		}{
			"empty":               {"", malformed},
			"cut off":             {inner, malformed},
			"trailing comma":      {inner + ",}", malformed},
			"trailing object":     {call.good + call.good, malformed},
			"trailing garbage":    {call.good + " x", malformed},
			"single quotes":       {strings.ReplaceAll(call.good, `"`, `'`), malformed},
			"comment":             {"/* hi */" + call.good, malformed},
			"null":                {"null", malformed},
			"list":                {"[" + call.good + "]", malformed},
			"string":              {`"hello"`, malformed},
			"number":              {"5", malformed},
			"NaN":                 {inner + `,"x":NaN}`, malformed},
			"control character":   {strings.Replace(call.good, "$", "a\x01b", 1), malformed},
			"invalid UTF-8":       {strings.Replace(call.good, "$", "a\xff\xfeb", 1), malformed},
			"surrogate as UTF-8":  {strings.Replace(call.good, "$", "a\xed\xa0\x80b", 1), malformed},
			"overlong UTF-8":      {strings.Replace(call.good, "$", "a\xc0\xafb", 1), malformed},
			"UTF-16":              {"\xff\xfe{\x00}\x00", malformed},
			"unknown field":       {inner + `,"surprise":1}`, unprocessable},
			"deep ext":            {nested, append(tooLarge, malformed...)},
			"deep list":           {strings.Repeat("[", 50_000), append(tooLarge, malformed...)},
			"deep object":         {strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001), append(tooLarge, malformed...)},
			"oversized":           {strings.Replace(call.good, "$", strings.Repeat("x", 2<<20), 1), tooLarge},
			"oversized by spaces": {call.good + strings.Repeat(" ", 2<<20), tooLarge},
		} {
			t.Run(call.path+" "+name, func(t *testing.T) {
				alice.answers(t, client.Request{Method: call.method, Path: call.path, Raw: []byte(want.body)}, want.statuses)
			})
		}
	}
	for what, body := range map[string]string{
		"username a number": `{"username":12345,"password":"` + password + `"}`,
		"password a list":   `{"username":"` + freshName() + `","password":["` + password + `"]}`,
		"nothing":           `{}`,
		"username null":     `{"username":null,"password":"` + password + `"}`,
	} {
		t.Run("register "+what, func(t *testing.T) {
			answers(t, s.client, client.Request{Method: http.MethodPost, Path: "/v1/auth/register", Raw: []byte(body)}, unprocessable)
		})
	}
	if n := len(bob.wholeMailbox()); n != 0 {
		t.Errorf("%d entries were stored, want none", n)
	}
}

// badContentTypes: JSON in UTF-8 only.
func badContentTypes(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	send := func(contentType string) client.Request {
		body, err := json.Marshal(client.Text(bob.id(), uuid.NewString(), "hi"))
		if err != nil {
			t.Fatal(err)
		}
		return client.Request{Method: http.MethodPost, Path: "/v1/messages", Raw: body, ContentType: contentType}
	}
	for _, contentType := range []string{
		"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/cbor",
		"application/octet-stream", "application/jsonp", "text/json", "garbage",
	} {
		t.Run(contentType, func(t *testing.T) {
			alice.answers(t, send(contentType), []int{http.StatusUnsupportedMediaType})
		})
	}
	if n := len(bob.wholeMailbox()); n != 0 {
		t.Errorf("%d entries were stored, want none", n)
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"} {
		request := send(contentType)
		request.Token = alice.AccessToken
		answer, err := s.client.Do(within(t, patience), request)
		if err != nil || answer.Status != http.StatusCreated {
			t.Errorf("%s: got %d, %v; want 201: %.200s", contentType, answer.Status, err, answer.Body)
		}
	}
}

// hostileText: odd but readable content is kept to the letter or refused, and never breaks the server.
func hostileText(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	nest := func(depth int) string {
		return `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	}
	for name, want := range map[string]struct {
		text, ext string // JSON
		mayRefuse bool
	}{
		"longest":               {text: `"` + strings.Repeat("x", 10_000) + `"`},
		"longest, 3 bytes each": {text: `"` + strings.Repeat("語", 10_000) + `"`},
		"longest, 4 bytes each": {text: `"` + strings.Repeat("🦊", 10_000) + `"`},
		"one character":         {text: `"x"`},
		"quotes and slashes":    {text: `"\"\\\/'` + "`" + `; DROP TABLE messages; --"`},
		"markup":                {text: `"<script>alert('&amp;')</script>"`},
		"right to left":         {text: `"\u202eabc\u202c שלום"`},
		"combining":             {text: `"e\u0301\u0301\u0301 👩‍👩‍👧‍👦"`},
		"line separators":       {text: `"a\u2028b\u2029c\nd"`},
		"surrounding space":     {text: `"  x  "`},
		"escaped surrogates":    {text: `"\ud83e\udd8a"`},
		"NUL":                   {text: `"a\u0000b"`, mayRefuse: true},
		"byte order mark":       {text: `"\ufeffx"`},
		"noncharacter":          {text: `"\uffff"`, mayRefuse: true},
		"lone surrogate":        {text: `"a\ud800b"`, mayRefuse: true},
		"ext nested":            {text: `"x"`, ext: `{"a":{"b":{"c":[1,2,{"d":null}]}}}`},
		"ext 20 deep":           {text: `"x"`, ext: nest(20)},
		"ext 40 deep":           {text: `"x"`, ext: nest(40), mayRefuse: true},
		"ext 500 deep":          {text: `"x"`, ext: nest(500), mayRefuse: true},
		"ext great integer":     {text: `"x"`, ext: `{"n":12345678901234567890}`},
		"ext 2^53+1":            {text: `"x"`, ext: `{"n":9007199254740993}`},
		"ext small float":       {text: `"x"`, ext: `{"n":1e-300}`},
		"ext beyond float":      {text: `"x"`, ext: `{"n":1e400}`, mayRefuse: true},
		"ext odd keys":          {text: `"x"`, ext: `{"":1,"a.b":2,"$ref":3,"__proto__":4,"日本":5}`},
		"ext as much as fits":   {text: `"x"`, ext: `{"n":"` + strings.Repeat("x", 65_000) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"client_msg_id":%q,"to_user_id":%q,"type":"text","body":{"text":%s}`, uuid.NewString(), bob.id(), want.text)
			if want.ext != "" {
				body += `,"ext":` + want.ext
			}
			request := client.Request{Method: http.MethodPost, Path: "/v1/messages", Token: alice.AccessToken, Raw: []byte(body + "}")}
			answer, err := s.client.Do(within(t, patience), request)
			if err != nil {
				t.Fatal(err)
			}
			if want.mayRefuse && answer.Status != http.StatusCreated {
				alice.answers(t, request, malformed)
				return
			}
			if answer.Status != http.StatusCreated {
				t.Fatalf("got %d, want 201: %.300s", answer.Status, answer.Body)
			}
			checkKept(t, alice, answer.Body, want.text, want.ext)
		})
	}
}

// checkKept reads the message that answer made from the mailbox and compares its text and, number by number, its ext.
func checkKept(t *testing.T, alice *actor, answer []byte, wantText, wantExt string) {
	t.Helper()
	var sent struct {
		Message struct {
			MessageID client.MessageID `json:"message_id"`
		} `json:"message"`
		MailboxSeq int64 `json:"mailbox_seq"`
	}
	if err := json.Unmarshal(answer, &sent); err != nil {
		t.Fatal(err)
	}
	var page struct {
		Entries []struct {
			Message struct {
				MessageID client.MessageID `json:"message_id"`
				Body      json.RawMessage  `json:"body"`
				Ext       json.RawMessage  `json:"ext"`
			} `json:"message"`
		} `json:"entries"`
	}
	path := fmt.Sprintf("/v1/mailbox?after=%d&limit=1", sent.MailboxSeq-1)
	if _, err := alice.Call(within(t, patience), http.MethodGet, path, nil, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Entries) != 1 || page.Entries[0].Message.MessageID != sent.Message.MessageID {
		t.Fatalf("the mailbox has another message at %d", sent.MailboxSeq)
	}
	if wantExt == "" {
		wantExt = "{}"
	}
	kept := page.Entries[0].Message
	if got, want := canonical(t, kept.Body), canonical(t, []byte(`{"text":`+wantText+`}`)); got != want {
		t.Errorf("body: kept %.300s, sent %.300s", got, want)
	}
	if got, want := canonical(t, kept.Ext), canonical(t, []byte(wantExt)); got != want {
		t.Errorf("ext: kept %.300s, sent %.300s", got, want)
	}
}

// canonical is JSON with sorted keys and its numbers as they were written.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("decode %.100q: %v", raw, err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// badMailboxCalls: positions, limits, devices and ids out of their ranges.
func badMailboxCalls(t *testing.T, s *system) {
	_, bob, _ := filled(t, s, 3)
	for _, query := range []string{
		"after=-1", "after=abc", "after=1.5", "after=9223372036854775808", "after=0x1", "after=0&limit=0", "after=0&limit=201",
		"after=0&limit=-1", "after=0&limit=abc", "after=0&limit=1e2", "limit=99999999999999999999",
	} {
		t.Run("GET "+query, func(t *testing.T) {
			bob.answers(t, client.Request{Method: http.MethodGet, Path: "/v1/mailbox?" + query}, unprocessable)
		})
	}
	for _, query := range []string{"", "device_id=", "device_id=my%20phone", "device_id=" + strings.Repeat("d", 65), "device_id=%ff", "device_id=%00"} {
		t.Run("summary "+query, func(t *testing.T) {
			bob.answers(t, client.Request{Method: http.MethodGet, Path: "/v1/mailbox/summary?" + query}, malformed)
		})
	}
	for path, bodies := range map[string][]string{
		"/v1/mailbox/sync": {
			`{}`, `{"after":0}`, `{"device_id":"laptop"}`, `{"device_id":"","after":0}`, `{"device_id":"my phone","after":0}`, `{"device_id":5,"after":0}`,
			`{"device_id":"` + strings.Repeat("d", 65) + `","after":0}`, `{"device_id":"laptop","after":-1}`, `{"device_id":"laptop","after":"0"}`,
			`{"device_id":"laptop","after":1.5}`, `{"device_id":"laptop","after":9223372036854775808}`, `{"device_id":"laptop","after":null}`,
			`{"device_id":"laptop","after":0,"limit":0}`, `{"device_id":"laptop","after":0,"limit":201}`, `{"device_id":"laptop","after":0,"limit":"10"}`,
			`{"device_id":"laptop","after":1,"after_id":5}`, `{"device_id":"laptop","after":1,"after_id":"x"}`, `{"device_id":"laptop","after":1,"after_id":"-1"}`,
			`{"device_id":"laptop","after":1,"after_id":"9223372036854775808"}`, `{"device_id":"laptop","after":1,"after_id":"0"}`,
		},
		"/v1/mailbox/ack": {
			`{}`, `{"up_to":1}`, `{"device_id":"my phone","up_to":1}`, `{"device_id":"laptop","up_to":-1}`, `{"device_id":"laptop","up_to":"1"}`,
			`{"device_id":"laptop","up_to":1.5}`, `{"device_id":"laptop","up_to":9223372036854775808}`, `{"device_id":"laptop","up_to":1,"up_to_id":1}`,
			`{"device_id":"laptop","up_to":1,"up_to_id":"x"}`, `{"device_id":"laptop","message_ids":"1"}`, `{"device_id":"laptop","message_ids":[1]}`,
			`{"device_id":"laptop","message_ids":["x"]}`, `{"device_id":"laptop","message_ids":["-1"]}`, `{"device_id":"laptop","message_ids":["9223372036854775808"]}`,
			`{"device_id":"laptop","message_ids":[null]}`, `{"device_id":"laptop","conversations":[{"conversation_id":1,"up_to":1}]}`,
			`{"device_id":"laptop","conversations":[{"conversation_id":"1","up_to":-1}]}`, `{"device_id":"laptop","conversations":[{"conversation_id":"1"}]}`,
		},
	} {
		for _, body := range bodies {
			t.Run(path+" "+body, func(t *testing.T) {
				bob.answers(t, client.Request{Method: http.MethodPost, Path: path, Raw: []byte(body)}, unprocessable)
			})
		}
	}
	bob.acked("laptop", 0)
}

// badPathIDs: ids in paths that are no ids.
func badPathIDs(t *testing.T, s *system) {
	bob := s.user(t)
	for _, id := range []string{"0", "-1", "9223372036854775808", "99999999999999999999999999", "abc", "1.5", "1e3", "%20", "+1", "%ff", "%00", "9007199254740993"} {
		for _, call := range []struct{ method, path string }{
			{http.MethodGet, "/v1/users/" + id},
			{http.MethodPut, "/v1/users/" + id + "/block"},
		} {
			t.Run(call.method+" "+call.path, func(t *testing.T) {
				bob.answers(t, client.Request{Method: call.method, Path: call.path}, append(badPath, http.StatusBadRequest))
			})
		}
	}
	for _, query := range []string{"", "username=", "username=%ff", "username=" + strings.Repeat("u", 5000)} {
		t.Run("search "+query[:min(len(query), 20)], func(t *testing.T) {
			answer, err := bob.Call(within(t, patience), http.MethodGet, "/v1/users?"+query, nil, &struct{}{})
			if err != nil {
				refused(t, err, "", malformed...)
			} else if answer.Status != http.StatusOK {
				t.Errorf("got %d", answer.Status)
			}
		})
	}
}

// strangers: what is not theirs looks to them like what does not exist.
func strangers(t *testing.T, s *system) {
	alice, bob, mallory := s.user(t), s.user(t), s.user(t)
	sent := alice.send(bob, "between us")
	sendTo := func(conversation client.ConversationID) error {
		_, err := mallory.Send(within(t, patience), client.Draft{
			ClientMsgID: uuid.NewString(), ConversationID: conversation, Type: "text", Body: map[string]any{"text": "let me in"},
		})
		return err
	}
	theirs := refused(t, sendTo(sent.Message.ConversationID), "", http.StatusNotFound)
	nothing := refused(t, sendTo("9007199254740993"), "", http.StatusNotFound)
	if theirs.Code != nothing.Code || theirs.Title != nothing.Title || theirs.Type != nothing.Type || theirs.Detail != nothing.Detail {
		t.Errorf("the answers tell what exists: %v and %v", theirs, nothing)
	}
	reply := client.Text(alice.id(), uuid.NewString(), "quoting")
	reply.ReplyTo = sent.Message.MessageID
	_, err := mallory.Send(within(t, patience), reply)
	refused(t, err, "", badPath...)

	acked, err := mallory.Ack(within(t, patience), client.Ack{DeviceID: "laptop", MessageIDs: []client.MessageID{sent.Message.MessageID}})
	if err != nil {
		refused(t, err, "", http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	} else if acked != 0 {
		t.Errorf("an ack of a stranger's message moved to %d", acked)
	}
	mallory.acked("laptop", 0)
	bob.acked("laptop", 0)
	for _, path := range []string{
		"/v1/conversations/" + string(sent.Message.ConversationID),
		"/v1/conversations/" + string(sent.Message.ConversationID) + "/messages",
		"/v1/conversations/" + string(sent.Message.ConversationID) + "/receipts",
	} {
		mallory.answers(t, client.Request{Method: http.MethodGet, Path: path}, notFound)
	}
	mallory.answers(t, client.Request{Method: http.MethodPost, Path: "/v1/messages/" + string(sent.Message.MessageID) + "/recall"}, notFound)
	if n := len(bob.wholeMailbox()); n != 1 {
		t.Errorf("bob has %d entries, want 1", n)
	}
	if n := len(mallory.wholeMailbox()); n != 0 {
		t.Errorf("mallory has %d entries, want none", n)
	}
}

// noToken: every call that isn't public refuses a missing, strange or changed token.
func noToken(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	header, rest, _ := strings.Cut(alice.AccessToken, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	_, otherRest, _ := strings.Cut(bob.AccessToken, ".")
	otherClaims, _, _ := strings.Cut(otherRest, ".")
	flipped := "A" + signature[1:]
	if signature[0] == 'A' {
		flipped = "B" + signature[1:]
	}
	authorizations := map[string]string{
		"none":             "",
		"garbage":          "Bearer garbage",
		"empty bearer":     "Bearer ",
		"no scheme":        alice.AccessToken,
		"basic":            "Basic YWxpY2U6c2VjcmV0",
		"refresh token":    "Bearer " + alice.RefreshToken,
		"changed":          "Bearer " + header + "." + claims + "." + flipped,
		"another's claims": "Bearer " + header + "." + otherClaims + "." + signature,
		"no signature":     "Bearer " + header + "." + claims + ".",
		"algorithm none":   "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + claims + ".",
		"huge":             "Bearer " + strings.Repeat("a", 8000),
	}
	device := `{"device_id":"laptop","after":0,"up_to":0}`
	for _, call := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/messages", `{"client_msg_id":"` + uuid.NewString() + `","to_user_id":"` + string(bob.id()) + `","type":"text","body":{"text":"hi"}}`},
		{http.MethodGet, "/v1/mailbox?after=0", ""},
		{http.MethodGet, "/v1/mailbox/summary?device_id=laptop", ""},
		{http.MethodPost, "/v1/mailbox/sync", device},
		{http.MethodPost, "/v1/mailbox/ack", device},
		{http.MethodPost, "/v1/auth/ws-ticket", ""},
		{http.MethodPost, "/v1/auth/logout", `{"refresh_token":"` + alice.RefreshToken + `"}`},
		{http.MethodPost, "/v1/auth/password", `{"password":"` + password + `","new_password":"` + password + `"}`},
		{http.MethodGet, "/v1/users/me", ""},
		{http.MethodPatch, "/v1/users/me", `{"display_name":"x"}`},
		{http.MethodGet, "/v1/users/" + string(bob.id()), ""},
		{http.MethodGet, "/v1/users?username=u", ""},
		{http.MethodPut, "/v1/users/" + string(bob.id()) + "/block", ""},
		{http.MethodGet, "/v1/ids?count=1", ""},
	} {
		for name, authorization := range authorizations {
			request := client.Request{Method: call.method, Path: call.path}
			if call.body != "" {
				request.Raw = []byte(call.body)
			}
			if authorization != "" {
				request.Header = http.Header{"Authorization": {authorization}}
			}
			t.Run(call.method+" "+call.path+" "+name, func(t *testing.T) {
				answers(t, s.client, request, []int{http.StatusUnauthorized})
			})
		}
	}
	if n := len(bob.wholeMailbox()); n != 0 {
		t.Errorf("%d entries were stored, want none", n)
	}
	if _, err := s.client.Refresh(within(t, patience), alice.RefreshToken); err != nil {
		t.Errorf("alice's session was ended: %v", err)
	}
}

// unknownRoutes: what isn't there and what can't be done are problems too.
func unknownRoutes(t *testing.T, s *system) {
	bob := s.user(t)
	for _, path := range []string{"/nope", "/v1/nope", "/v2/messages", "/v1", "/v1/messages/1/nope", "/v1/../etc/passwd", "/.env"} {
		t.Run("GET "+path, func(t *testing.T) {
			bob.answers(t, client.Request{Method: http.MethodGet, Path: path}, notFound)
			answers(t, s.client, client.Request{Method: http.MethodGet, Path: path}, notFound)
		})
	}
	for _, call := range []struct{ method, path string }{
		{http.MethodGet, "/v1/messages"},
		{http.MethodDelete, "/v1/messages"},
		{http.MethodPost, "/v1/mailbox"},
		{http.MethodGet, "/v1/mailbox/sync"},
		{http.MethodPut, "/v1/mailbox/ack"},
		{http.MethodGet, "/v1/auth/login"},
		{http.MethodDelete, "/v1/users/me"},
		{http.MethodPost, "/v1/ws"},
		{http.MethodPut, "/healthz"},
		{http.MethodPost, "/openapi.json"},
		{"BREW", "/v1/messages"},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			bob.answers(t, client.Request{Method: call.method, Path: call.path}, []int{http.StatusMethodNotAllowed})
		})
	}
	answer, err := bob.Client().Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/messages", Token: bob.AccessToken})
	if err != nil {
		t.Fatal(err)
	}
	if allow := answer.Header.Get("Allow"); !strings.Contains(allow, http.MethodPost) {
		t.Errorf("405 with Allow %q, want POST in it", allow)
	}
	first := bob.answers(t, client.Request{Method: http.MethodGet, Path: "/nope"}, notFound)
	second := bob.answers(t, client.Request{Method: http.MethodGet, Path: "/nope"}, notFound)
	if first.RequestID == second.RequestID {
		t.Error("two requests have one request_id")
	}
}

// freshIDs: 1 to 1,000 ids a call, increasing.
func freshIDs(t *testing.T, s *system) {
	bob := s.user(t)
	seen := map[string]bool{}
	for _, count := range []int{1, 1000, 1, 1000, 17} {
		batch, err := bob.FreshIDs(within(t, patience), fmt.Sprint(count))
		if err != nil {
			t.Fatal(err)
		}
		if err := increasing(batch, count); err != nil {
			t.Fatal(err)
		}
		for _, id := range batch {
			if seen[id] {
				t.Fatalf("id %s was given twice", id)
			}
			seen[id] = true
		}
	}
	for _, count := range []string{"0", "-1", "1001", "abc", "1.5", "99999999999999999999"} {
		_, err := bob.FreshIDs(within(t, patience), count)
		refused(t, err, "", unprocessable...)
	}
}
