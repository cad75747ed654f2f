package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// plain bodies, by what they are.
var (
	plainSends = []string{
		`{"client_msg_id":"k1","to_user_id":"412345678901234567","type":"text","body":{"text":"hello"}}`,
		"\t{ \"type\" : \"custom\" ,\r\n \"body\" : { } , \"conversation_id\" : \"1\" } ",
		`{"client_msg_id":"","type":"file","body":{"url":"/a\"}]{[\\","size":1e999,"a":[{"b":null}]},"ext":{"a":{}},"reply_to":"9223372036854775807"}`,
		`{"client_msg_id":"schön","type":"emoji","body":{"text":"😀\ud83d\ude00"},"reply_to":null}`,
	}
	plainAcks = []string{
		`{"device_id":"browser-1"}`,
		`{"device_id":"browser-1","up_to":0}`,
		`{"device_id":"a","up_to":999999999999999,"up_to_id":"412345678901234567","message_ids":["1","2"]}`,
		`{"device_id":"a","message_ids":[],"conversations":[]}`,
		`{"device_id":"a","conversations":[ {"conversation_id":"1","up_to":7} , {"up_to":0,"conversation_id":"2"}]}`,
	}
	plainSyncs = []string{
		`{"device_id":"browser-1","after":0}`,
		`{"device_id":"browser-1","after":17,"after_id":"412345678901234567","limit":200}`,
	}
	// otherBodies are left to huma.
	otherBodies = []string{
		`{"client_msg_id":"k","to_user_id":"7","type":"text","body":{"text":"half of it \ud83d"}}`,
		``, ` `, `null`, `[]`, `"x"`, `{}`, `{`, `{"type"`, `{"type":"text"}`, `{"body":{}}`, "\xff", "{\"type\":\"text\",\"body\":{\"text\":\"\xff\"}}",
		`{"type":"text","body":{"text":"a"},"x":1}`, `{"type":"text","body":{"text":"a"},"type":"text"}`, `{"Type":"text","body":{}}`, `{"t\u0079pe":"text","body":{}}`,
		`{"type":"recall","body":{}}`, `{"type":"","body":{}}`, `{"type":1,"body":{}}`, `{"type":"text","body":"a"}`, `{"type":"text","body":null}`, `{"type":"text","body":{},"ext":[]}`,
		`{"type":"text","body":{},"to_user_id":7}`, `{"type":"text","body":{},"to_user_id":"0"}`, `{"type":"text","body":{},"to_user_id":"9223372036854775808"}`, `{"type":"text","body":{},"to_user_id":null}`,
		`{"type":"text","body":{},"reply_to":"x"}`, `{"type":"text","body":{},"mentions":"all"}`, `{"type":"text","body":{},"mentions":["1"]}`,
		`{"client_msg_id":"` + strings.Repeat("k", 65) + `","type":"text","body":{}}`, `{"client_msg_id":"\u006b","type":"text","body":{}}`,
		`{"type":"text","body":` + strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat(`}`, 64) + `}`,
		`{"device_id":""}`, `{"device_id":"a b"}`, `{"device_id":"a","up_to":-1}`, `{"device_id":"a","up_to":1.0}`, `{"device_id":"a","up_to":1e3}`, `{"device_id":"a","up_to":9223372036854775808}`, `{"device_id":"a","up_to":"1"}`, `{"device_id":"a","up_to":null}`,
		`{"device_id":"a","message_ids":[""]}`, `{"device_id":"a","message_ids":null}`, `{"device_id":"a","message_ids":[` + strings.Repeat(`"1",`, 200) + `"1"]}`, `{"device_id":"a","conversations":[{"conversation_id":"1"}]}`, `{"device_id":"a","conversations":[{"up_to":1}]}`, `{"device_id":"a","conversations":[1]}`,
		`{"device_id":"a","after":0,"limit":0}`, `{"device_id":"a","after":0,"limit":201}`, `{"device_id":"a","after":-1}`, `{"device_id":"a","after":0,"limit":null}`, `{"after":0}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1}`,
	}
)

// asHuma reads a body as huma does and says whether nothing was wrong with it.
func asHuma[T any](t testing.TB, body []byte) (read T, ok bool) {
	t.Helper()
	registry := newRegistry()
	schema := registry.Schema(reflect.TypeFor[T](), true, "")
	var loose any
	if err := decode(body, &loose); err != nil {
		return read, false
	}
	result := &huma.ValidateResult{}
	path := huma.NewPathBuffer(nil, 0)
	huma.Validate(registry, schema, path, huma.ModeWriteToServer, loose, result)
	if len(result.Errors) > 0 {
		return read, false
	}
	return read, decode(body, &read) == nil
}

func checkPlain[T any](t testing.TB, body []byte, got T, plain bool) {
	t.Helper()
	if !plain {
		return
	}
	want, ok := asHuma[T](t, body)
	if s, is := any(&want).(*Sync); is && s.Limit == 0 {
		s.Limit = 50 // huma's default
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%q was read as\n%+v; huma takes it: %v, as\n%+v", body, got, ok, want)
	}
}

func FuzzPlain(f *testing.F) {
	for _, list := range [][]string{plainSends, plainAcks, plainSyncs, otherBodies} {
		for _, body := range list {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var send Send
		checkPlain(t, body, send, send.readPlain(body))
		var ack Ack
		checkPlain(t, body, ack, ack.readPlain(body))
		var pull Sync
		checkPlain(t, body, pull, pull.readPlain(body))
	})
}

func TestPlainBodies(t *testing.T) {
	for _, body := range plainSends {
		if got := (Send{}); !got.readPlain([]byte(body)) {
			t.Errorf("send %s is not plain", body)
		}
	}
	for _, kind := range plainTypes {
		if got := (Send{}); !got.readPlain(fmt.Appendf(nil, `{"type":"%s","body":{}}`, kind)) {
			t.Errorf("type %s is not plain", kind)
		}
	}
	for _, body := range plainAcks {
		if got := (Ack{}); !got.readPlain([]byte(body)) {
			t.Errorf("ack %s is not plain", body)
		}
	}
	for _, body := range plainSyncs {
		if got := (Sync{}); !got.readPlain([]byte(body)) {
			t.Errorf("sync %s is not plain", body)
		}
	}
	for _, body := range otherBodies {
		send, ack, pull := Send{}, Ack{}, Sync{}
		if send.readPlain([]byte(body)) || ack.readPlain([]byte(body)) || pull.readPlain([]byte(body)) {
			t.Errorf("%s is plain", body)
		}
	}
}

// TestQuickIsLikeHuma sends the same requests with a length, which may be quick, and in chunks, which
// are huma's.
func TestQuickIsLikeHuma(t *testing.T) {
	h := newHotEdge(t)
	ask := func(path, body, contentType, key string, length int64) string {
		r := h.post(path, []byte(body))
		r.ContentLength = length
		r.Header.Set(requestIDHeader, "same")
		r.Header.Set("Content-Type", contentType)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		a := &discarded{header: http.Header{}}
		h.handler.ServeHTTP(a, r)
		return fmt.Sprint(a.status, a.header, string(a.text))
	}
	same := func(path, body, contentType, key string) string {
		t.Helper()
		quick, huma := ask(path, body, contentType, key, int64(len(body))), ask(path, body, contentType, key, -1)
		if quick != huma {
			t.Errorf("%s %s (%s, key %q):\n%s\nin chunks:\n%s", path, body, contentType, key, quick, huma)
		}
		return quick
	}
	const kind = "application/json"
	first := string(h.sendBody())
	if got := ask("/v1/messages", first, kind, "", int64(len(first))); !strings.HasPrefix(got, "201 ") {
		t.Fatal(got)
	}
	for _, send := range []struct{ body, key, want string }{
		{first, "", "200 "},
		{first, "another", "422 "},
		{first, strings.Repeat("k", 65), "422 "},
		{strings.Replace(first, "Shall", "Will", 1), "", "422 "},
		{strings.Replace(first, h.otherID.String(), "7", 1), "", "404 "},
		{strings.Replace(first, `"type"`, `"ext":{},"type"`, 1), "", "200 "},
		{strings.Replace(first, `{"text"`, `{"txt"`, 1), "", "422 "},
	} {
		if got := same("/v1/messages", send.body, kind, send.key); !strings.HasPrefix(got, send.want) {
			t.Errorf("%s: got %s, want %s", send.body, got, send.want)
		}
	}
	bodies := append(append(append([]string{first, first + strings.Repeat(" ", quickBody)}, plainSends[1:]...), plainAcks...), append(plainSyncs, otherBodies...)...)
	for _, body := range bodies {
		for _, path := range []string{"/v1/messages", "/v1/mailbox/ack", "/v1/mailbox/sync"} {
			same(path, body, kind, "")
		}
	}
	for _, contentType := range []string{"", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON ; charset=utf-8", "application/json; charset=latin1", "text/plain", "application/json+json"} {
		same("/v1/messages", first, contentType, "")
	}
	if got := same("/v1/messages?a=b", first, kind, ""); !strings.HasPrefix(got, "422 ") {
		t.Errorf("an unknown parameter: got %s", got)
	}
	for _, body := range []string{`{"device_id":"a","up_to":1}`, `{"device_id":"a","up_to":1,"up_to_id":"5"}`, `{"device_id":"a","up_to":1000}`, `{"device_id":"a","up_to_id":"5"}`} {
		same("/v1/mailbox/ack", body, kind, "")
	}
	if got := same("/v1/mailbox/sync", `{"device_id":"a","after":0}`, kind, ""); !strings.Contains(got, "Shall we") {
		t.Errorf("sync: %s", got)
	}
}

// TestQuickBodyBreaksOff wants what huma says of a body that ends early, whatever comes after.
func TestQuickBodyBreaksOff(t *testing.T) {
	h := newHotEdge(t)
	for name, length := range map[string]int64{"with a length": 16, "in chunks": -1} {
		r := h.post("/v1/mailbox/ack", nil)
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"device_id":"a"`[:15]), &once{}, strings.NewReader(`"}`))), length
		a := &discarded{header: http.Header{}}
		h.handler.ServeHTTP(a, r)
		if a.status != http.StatusBadRequest || !strings.Contains(string(a.text), "did not arrive as a whole") {
			t.Errorf("%s: got %d %s", name, a.status, a.text)
		}
	}
}

// once fails once.
type once struct{ failed bool }

func (o *once) Read([]byte) (int, error) {
	if o.failed {
		return 0, io.EOF
	}
	o.failed = true
	return 0, errors.New("broken off")
}

// TestQuickGivesBodiesOn wants of many requests at a time, whose bodies quick reads and leaves to
// huma, that each is answered for its own body.
func TestQuickGivesBodiesOn(t *testing.T) {
	h := newHotEdge(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				name := fmt.Sprintf("device %d of %d", j, i)
				a := &discarded{header: http.Header{}}
				h.handler.ServeHTTP(a, h.post("/v1/mailbox/ack", fmt.Appendf(nil, `{"device_id":"%s"}`, name)))
				if a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.text), name) {
					t.Errorf("%s: got %d %s", name, a.status, a.text)
				}
			}
		})
	}
	all.Wait()
}

// TestAppendedAnswers compares the answers that write themselves with json.Encoder's.
func TestAppendedAnswers(t *testing.T) {
	message := encoded(&model.Message{ID: 1 << 60, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: `k"<&>`, Type: model.TypeText, Body: `{"text":"a <b> \"c\" ü"}`, Ext: "{}", CreatedAt: 5})
	for _, answer := range []appender{
		sendOutputBody{Message: message, MailboxSeq: 7, Duplicate: true}, sendOutputBody{Message: message},
		ackOutputBody{}, ackOutputBody{Acked: 1 << 50},
		MailboxPage{Entries: []Entry{}}, MailboxPage{Entries: []Entry{{Seq: 1, Message: message}, {Seq: 2, Message: message}}, Head: 2, Floor: 1, HasMore: true},
	} {
		var got, want bytes.Buffer
		must(t, encode(&got, answer))
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		must(t, e.Encode(answer))
		if got.String() != want.String() {
			t.Errorf("got %s, want %s", got.String(), want.String())
		}
	}
}
