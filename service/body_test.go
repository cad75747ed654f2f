package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"ackbox/model"
)

// TestContent is what each type takes, and what is kept of it.
func TestContent(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		return `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	for _, c := range []struct {
		kind      model.MessageType
		body, ext string
		want      string // the canonical body; "" for a refusal
		field     string // where the refusal is
	}{
		{model.TypeText, `{"text":"hi"}`, "", `{"text":"hi"}`, ""},
		{model.TypeText, " {\n\"text\" :\t\"h\\u0069\"} ", "", `{"text":"hi"}`, ""},
		{model.TypeText, `{"text":"<b>&</b>\u2028"}`, "", `{"text":"<b>&</b>\u2028"}`, ""},
		{model.TypeText, `{"text":"a","text":"b"}`, "", `{"text":"b"}`, ""},
		{model.TypeText, `{"text":"` + strings.Repeat("😀", MaxText) + `"}`, "", `{"text":"` + strings.Repeat("😀", MaxText) + `"}`, ""},
		{model.TypeText, `{"text":"` + strings.Repeat("a", MaxText+1) + `"}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":""}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":" \t\n"}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":"\u200b\u2060\u00a0\u0000"}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":1}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":null}`, "", "", "body.body.text"},
		{model.TypeText, `{}`, "", "", "body.body.text"},
		{model.TypeText, `{"text":"a","more":1}`, "", "", "body.body.more"},
		{model.TypeText, `{"Text":"a"}`, "", "", "body.body.Text"},
		{model.TypeText, `null`, "", "", "body.body"},
		{model.TypeText, `"text"`, "", "", "body.body"},
		{model.TypeText, `[]`, "", "", "body.body"},
		{model.TypeText, ``, "", "", "body.body"},
		{model.TypeText, `{"text":"a"}{}`, "", "", "body.body"},
		{model.TypeText, `{"text":"a"`, "", "", "body.body"},
		{model.TypeText, `{"text":"a"}`, `{"b":1,"a":{"d":1,"c":2}}`, `{"text":"a"}`, ""},
		{model.TypeText, `{"text":"a"}`, `[]`, "", "body.ext"},
		{model.TypeText, `{"text":"a"}`, `null`, "", "body.ext"},
		{model.TypeText, `{"text":"a"}`, nested(maxDepth), `{"text":"a"}`, ""},
		{model.TypeText, `{"text":"a"}`, nested(maxDepth + 1), "", "body.ext"},
		{model.TypeCustom, `{"a":"[[[[{{{{` + strings.Repeat(`\"[{`, 100) + `"}`, "", `{"a":"[[[[{{{{` + strings.Repeat(`\"[{`, 100) + `"}`, ""},
		{model.TypeCustom, nested(10_000), "", "", "body.body"},
		{model.TypeCustom, `{"n":[1.0,1,1e999,-0,12345678901234567890123]}`, "", `{"n":[1.0,1,1e999,-0,12345678901234567890123]}`, ""},
		{model.TypeCustom, `{}`, "", `{}`, ""},
		{model.TypeCustom, `{"b":1,"a":2,"":3}`, "", `{"":3,"a":2,"b":1}`, ""},
		{model.TypeCustom, `{"a":"` + strings.Repeat("x", MaxContent-10) + `"}`, "", `{"a":"` + strings.Repeat("x", MaxContent-10) + `"}`, ""}, // with ext {} just 64 KiB
		{model.TypeCustom, `{"a":"` + strings.Repeat("x", MaxContent-9) + `"}`, "", "", "body.body"},
		{model.TypeCustom, `{"a":"` + strings.Repeat("x", 1000) + `"}`, `{"a":"` + strings.Repeat("x", MaxContent-1000) + `"}`, "", "body.body"},
		{model.TypeCustom, `{"a":"` + strings.Repeat("x", 4*MaxContent) + `"}`, "", "", "body.body"},
		{model.TypeImage, `{"url":"https://a/b.png","width":1,"height":2.5,"size":0,"name":"b","thumbnail_url":"/t.png","own":[1]}`, "", `{"height":2.5,"name":"b","own":[1],"size":0,"thumbnail_url":"/t.png","url":"https://a/b.png","width":1}`, ""},
		{model.TypeFile, `{"url":"HTTP://a/b"}`, "", `{"url":"HTTP://a/b"}`, ""},
		{model.TypeAudio, `{"url":"/files/1","duration_ms":-1}`, "", "", "body.body.duration_ms"},
		{model.TypeVideo, `{"url":"/files/1","width":"1"}`, "", "", "body.body.width"},
		{model.TypeVideo, `{"url":"/files/1","width":1e999}`, "", "", "body.body.width"},
		{model.TypeImage, `{"url":"javascript:alert(1)"}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":"/a","thumbnail_url":"javascript:alert(1)"}`, "", "", "body.body.thumbnail_url"},
		{model.TypeImage, `{"url":"/a","thumbnail_url":""}`, "", "", "body.body.thumbnail_url"},
		{model.TypeImage, `{"url":"data:image/png;base64,AAAA"}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":""}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":"//evil.example/x"}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":"/\\evil.example/x"}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":"/\t/evil.example/x"}`, "", "", "body.body.url"},
		{model.TypeImage, `{}`, "", "", "body.body.url"},
		{model.TypeImage, `{"url":"/` + strings.Repeat("a", 2048) + `"}`, "", "", "body.body.url"},
		{model.TypeFile, `{"url":"/a","mime_type":7}`, "", "", "body.body.mime_type"},
		{model.TypeLocation, `{"latitude":-90,"longitude":180,"name":"x"}`, "", `{"latitude":-90,"longitude":180,"name":"x"}`, ""},
		{model.TypeLocation, `{"latitude":90.1,"longitude":0}`, "", "", "body.body.latitude"},
		{model.TypeLocation, `{"latitude":0,"longitude":-180.5}`, "", "", "body.body.longitude"},
		{model.TypeLocation, `{"latitude":0}`, "", "", "body.body.longitude"},
		{model.TypeLocation, `{"latitude":"0","longitude":0}`, "", "", "body.body.latitude"},
		{model.TypeEmoji, `{"code":"x"}`, "", `{"code":"x"}`, ""},
		{model.TypeEmoji, `{}`, "", "", "body.body"},
		{model.TypeCard, `{}`, "", "", "body.body"},
		{model.TypeRecall, `{"message_id":"1"}`, "", "", "body.type"},
		{model.TypeNotice, `{}`, "", "", "body.type"},
		{"video/mp4", `{}`, "", "", "body.type"},
		{"", `{"text":"a"}`, "", "", "body.type"},
	} {
		name := fmt.Sprintf("%s %.60s %.60s", c.kind, c.body, c.ext)
		body, ext, err := content(c.kind, model.JSON(c.body), model.JSON(c.ext))
		if c.want == "" {
			var e *model.Error
			if model.CodeOf(err) != model.CodeValidation {
				t.Errorf("%s: got %v, want %s", name, err, model.CodeValidation)
			} else if e, _ = err.(*model.Error); len(e.Fields) != 1 || e.Fields[0].Location != c.field { //nolint:errorlint // content answers it bare
				t.Errorf("%s: fields %+v, want %s", name, e.Fields, c.field)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(body) != c.want {
			t.Errorf("%s: body %.100s, want %.100s", name, body, c.want)
		}
		if c.ext == "" && ext != "{}" {
			t.Errorf("%s: no ext became %s", name, ext)
		}
	}
}

// TestContentHash: the same content has the same hash however it is written, and
// whatever else differs makes another.
func TestContentHash(t *testing.T) {
	t.Parallel()
	hash := func(conversation model.ConversationID, reply model.MessageID, kind model.MessageType, body, ext string) string {
		t.Helper()
		b, e, err := content(kind, model.JSON(body), model.JSON(ext))
		must(t, err)
		sum := contentHash(&model.Message{ID: 99, ConversationID: conversation, ReplyTo: reply, Type: kind, Body: b, Ext: e, CreatedAt: 5})
		equal(t, "length of a hash", len(sum), 16)
		return string(sum)
	}
	first := hash(1, 2, model.TypeCustom, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, `{"e":1,"f":2}`)
	for _, same := range []string{
		hash(1, 2, model.TypeCustom, `{"b":{"d":"x","c":[1,2]},"a":1}`, `{"f":2,"e":1}`),
		hash(1, 2, model.TypeCustom, "{ \"a\" : 1,\n\"b\":{\"c\":[1, 2],\"d\":\"\\u0078\"}}", " { \"e\":1,\"f\":2}"),
	} {
		if same != first {
			t.Error("the same content has two hashes")
		}
	}
	seen := map[string]int{first: -1}
	for i, other := range []string{
		hash(3, 2, model.TypeCustom, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, `{"e":1,"f":2}`),
		hash(1, 3, model.TypeCustom, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, `{"e":1,"f":2}`),
		hash(1, 2, model.TypeCard, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, `{"e":1,"f":2}`),
		hash(1, 2, model.TypeCustom, `{"a":1,"b":{"c":[2,1],"d":"x"}}`, `{"e":1,"f":2}`),
		hash(1, 2, model.TypeCustom, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, `{"e":1,"f":3}`),
		hash(1, 2, model.TypeCustom, `{"a":1,"b":{"c":[1,2],"d":"x"}}`, ``),
		hash(1, 2, model.TypeCustom, `{"e":1,"f":2}`, `{"a":1,"b":{"c":[1,2],"d":"x"}}`),
	} {
		if before, twice := seen[other]; twice {
			t.Errorf("contents %d and %d have one hash", before, i)
		}
		seen[other] = i
	}
}

// TestPlainText is which bodies are taken without parsing them. (That they are taken as they would be by
// parsing is what FuzzContent finds, which writes them otherwise.)
func TestPlainText(t *testing.T) {
	t.Parallel()
	inside := func(text string) string { return `{"text":"` + text + `"}` }
	for _, text := range []string{"a", "<b>&</b>", "schön 😀", `say \"hi\"\n\tbye\\`, `\\`, `\"`, "\u200b.", "\x7f.", strings.Repeat("😀", MaxText), strings.Repeat(`\n`, MaxText-1) + "a"} {
		if body := inside(text); !plainText(body) {
			t.Errorf("%.60s is not plain", body)
		} else if got, ext, err := content(model.TypeText, model.JSON(body), ""); err != nil || string(got) != body || ext != "{}" {
			t.Errorf("%.60s became %.60s and %s: %v", body, got, ext, err)
		}
	}
	for _, body := range []string{
		``, `{}`, `{"text":"}`, `{"text":""}`, inside(`\`), inside(`a\`), inside(`a"`), inside(`a","b":"c`), inside(`\u0061`), inside(`a\/`), inside(`\x`), inside("a\n"), inside("a\x00"), inside("a\xff"), inside("a\u2028"), inside("a\u2029"),
		inside(" "), inside(`\n\t \r\b\f`), inside("\u200b\u2060\u00a0"), inside(strings.Repeat("a", MaxText+1)), ` ` + inside("a"), inside("a") + "\n", `{"text": "a"}`, `{"text":1}`, `{"Text":"a"}`,
	} {
		if plainText(body) {
			t.Errorf("%.60q is plain", body)
		}
	}
}

// FuzzContent: whatever comes, what is taken is canonical JSON in UTF-8 within its
// bounds, and the same content written otherwise is the same.
func FuzzContent(f *testing.F) {
	for _, seed := range [][3]string{
		{"text", `{"text":"hi"}`, ``},
		{"text", "{\"text\":\"\xff\xc3\"}", `{"a":1}`},
		{"text", `{"text":"\ud800"}`, `{}`},
		{"text", `{"text":"\u0000 \u2028\u2029"}`, `{"":{"":""}}`},
		{"image", `{"url":"https://x/y","width":1e2,"name":"n"}`, `{"z":[1,2,{"a":null}]}`},
		{"location", `{"latitude":-0.0,"longitude":1E-7}`, ``},
		{"custom", `{"a":"\\\"[[{{","b":[[[[]]]]}`, `{"\u0061":1,"a":2}`},
		{"custom", `{"a":1}x`, ``},
		{"card", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), ``},
		{"recall", `{}`, ``},
		{"text", `{"text":"\u003cb\\ \" \b\f\n\r\t\/"}`, ``},
		{"text", "{\"text\":\"😀 ü \x7f \u2028 \ufffd\"}", ``},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, kind, body, ext string) {
		b, e, err := content(model.MessageType(kind), model.JSON(body), model.JSON(ext))
		if err != nil {
			if model.CodeOf(err) != model.CodeValidation {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if len(b)+len(e) > MaxContent {
			t.Fatalf("%d bytes were taken", len(b)+len(e))
		}
		for _, text := range []model.JSON{b, e} {
			var fields map[string]any
			if !utf8.ValidString(string(text)) || json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
				t.Fatalf("%q is no JSON object in UTF-8", text)
			}
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(b), "\t", "  "); err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{string(b), indented.String()} {
			if len(again)+len(e) > 4*MaxContent {
				continue
			}
			b2, e2, err := content(model.MessageType(kind), model.JSON(again), e)
			if err != nil || b2 != b || e2 != e {
				t.Fatalf("canonical %q and %q became %q and %q: %v", b, e, b2, e2, err)
			}
		}
		m := &model.Message{ID: 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: "k", Type: model.MessageType(kind), Body: b, Ext: e}
		if encoded := m.AppendJSON(nil); !json.Valid(encoded) {
			t.Fatalf("the message is no JSON: %q", encoded)
		}
	})
}
