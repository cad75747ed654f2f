package model

import (
	"encoding/json"
	"regexp"
	"testing"
)

// FuzzNames: ids, devices, users and keys are what their descriptions say, to the byte: parts of keys in Redis and of lines
// in logs are made of them.
func FuzzNames(f *testing.F) {
	for _, text := range []string{
		"1", "0", "01", "-1", "+1", "9223372036854775807", "9223372036854775808", "1e3", "1_0", "0x1", "", " 1", "1\n", "١", "a", "ab", "abc", "A-z.0_9", "a b", "a\r\nb", "a:b",
		"*", "a\x00", "é", "a%", "{a}", "0193a7c4-8f6e-7d2a-9f35-0c9d2d1b6a11", "Kelvin\u212a",
	} {
		f.Add(text)
	}
	id, device := regexp.MustCompile(`\A[1-9][0-9]{0,18}\z`), regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)
	user, key := regexp.MustCompile(`\A[a-z0-9._-]{3,32}\z`), regexp.MustCompile(`\A[[:graph:]]{1,64}\z`)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseID[UserID](text)
		if err == nil && (n <= 0 || n.String() != text || !id.MatchString(text)) {
			t.Errorf("%q is the id %d", text, n)
		}
		if err != nil && id.MatchString(text) && len(text) < 19 {
			t.Errorf("%q is no id: %v", text, err)
		}
		if ValidDeviceID(text) != device.MatchString(text) || ValidUsername(text) != user.MatchString(text) || ValidClientMsgID(text) != key.MatchString(text) {
			t.Errorf("%q: device %t, username %t, key %t", text, ValidDeviceID(text), ValidUsername(text), ValidClientMsgID(text))
		}
	})
}

// FuzzMessageJSON: the encoder that is written by hand writes JSON that says what the message says.
func FuzzMessageJSON(f *testing.F) {
	f.Add(int64(1), int64(2), int64(3), "key", `{"text":"hi"}`, `{}`, int64(0), int64(0))
	f.Add(int64(9223372036854775807), int64(1), int64(1), `k"\`, `{"text":"\u2028\"</script>"}`, `{"a":[1e400]}`, int64(9), int64(1_700_000_000_000))
	f.Add(int64(1), int64(1), int64(1), "k", ``, ``, int64(1), int64(253_402_300_799_999))
	f.Add(int64(1), int64(1), int64(1), "\u2028<&>", `{"":{"":null}}`, `{"\ud800":1}`, int64(1), int64(1))
	f.Fuzz(func(t *testing.T, id, conversation, seq int64, key, body, ext string, replyTo, recalled int64) {
		object := func(text string) bool {
			var fields map[string]json.RawMessage
			return text == "" || (json.Unmarshal([]byte(text), &fields) == nil && fields != nil)
		}
		if id <= 0 || conversation <= 0 || seq <= 0 || replyTo < 0 || recalled < 0 || recalled > 253_402_300_799_999 || !ValidClientMsgID(key) || !object(body) || !object(ext) {
			return // is never stored
		}
		m := Message{
			ID: MessageID(id), ConversationID: ConversationID(conversation), ConversationSeq: seq, SenderID: 7, ClientMsgID: key, Type: TypeText, Body: JSON(body), Ext: JSON(ext),
			ReplyTo: MessageID(replyTo), CreatedAt: 1_700_000_000_000, RecalledAt: Millis(recalled),
		}
		var read struct {
			ID        MessageID       `json:"message_id"`
			Conv      ConversationID  `json:"conversation_id"`
			Seq       int64           `json:"conversation_seq"`
			Key       string          `json:"client_msg_id"`
			Body, Ext json.RawMessage `json:",omitempty"`
			ReplyTo   *MessageID      `json:"reply_to"`
			Recalled  *string         `json:"recalled_at"`
		}
		text := m.AppendJSON(nil)
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if read.ID != m.ID || read.Conv != m.ConversationID || read.Seq != seq || read.Key != key || (read.ReplyTo == nil) != (replyTo == 0) || (read.Recalled == nil) != (recalled == 0) {
			t.Fatalf("%+v is written as %s", m, text)
		}
		if (read.ReplyTo != nil && *read.ReplyTo != m.ReplyTo) || !object(string(read.Body)) || !object(string(read.Ext)) {
			t.Fatalf("%+v is written as %s", m, text)
		}
	})
}
