package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"ackbox/model"
)

// What clients send in bodies of the hot calls is nearly always plain: members that we know, each
// there once, texts without escapes, whole numbers. Such a body is read here in one pass. Everything
// else, right or wrong, is huma's: the functions below say false to it and never what is wrong with
// it. What they take huma takes too, and as the same (FuzzPlain).

// maxPlainMembers bounds the members of a plain object.
const maxPlainMembers = 8

// plainTypes are the types of messages that users send.
var plainTypes = []model.MessageType{
	model.TypeText, model.TypeImage, model.TypeFile, model.TypeAudio, model.TypeVideo, model.TypeLocation, model.TypeEmoji, model.TypeCard, model.TypeCustom,
}

// readPlain reads all but mentions.
func (s *Send) readPlain(body []byte) bool {
	return plainBody(body) && members(body, func(name, value []byte) bool {
		switch string(name) {
		case "client_msg_id":
			return readText(&s.ClientMsgID, value) && len(s.ClientMsgID) <= 64
		case "to_user_id":
			return readID(&s.ToUserID, value)
		case "conversation_id":
			return readID(&s.ConversationID, value)
		case "type":
			return readText(&s.Type, value) && slices.Contains(plainTypes, model.MessageType(s.Type))
		case "body":
			return readObject(&s.Body, value)
		case "ext":
			return readObject(&s.Ext, value)
		case "reply_to":
			if string(value) == "null" {
				return true
			}
			s.ReplyTo = new(model.MessageID)
			return readID(s.ReplyTo, value)
		}
		return false
	}) && s.Type != "" && s.Body != ""
}

func (a *Ack) readPlain(body []byte) bool {
	return plainBody(body) && members(body, func(name, value []byte) bool {
		switch string(name) {
		case "device_id":
			return readDevice(&a.DeviceID, value)
		case "up_to":
			a.UpTo = new(int64)
			return readCount(a.UpTo, value)
		case "up_to_id":
			return readID(&a.UpToID, value)
		case "message_ids":
			a.MessageIDs = []model.MessageID{}
			return elements(value, func(value []byte) bool {
				a.MessageIDs = append(a.MessageIDs, 0)
				return readID(&a.MessageIDs[len(a.MessageIDs)-1], value)
			}) && len(a.MessageIDs) <= 200
		case "conversations":
			a.Conversations = []LogAck{}
			return elements(value, func(value []byte) bool {
				a.Conversations = append(a.Conversations, LogAck{})
				return a.Conversations[len(a.Conversations)-1].readPlain(value)
			}) && len(a.Conversations) <= 200
		}
		return false
	}) && a.DeviceID != ""
}

func (l *LogAck) readPlain(value []byte) bool {
	position := false
	return members(value, func(name, value []byte) bool {
		switch string(name) {
		case "conversation_id":
			return readID(&l.ConversationID, value)
		case "up_to":
			position = true
			return readCount(&l.UpTo, value)
		}
		return false
	}) && position && l.ConversationID != 0
}

func (s *Sync) readPlain(body []byte) bool {
	position, limit := false, int64(50)
	plain := plainBody(body) && members(body, func(name, value []byte) bool {
		switch string(name) {
		case "device_id":
			return readDevice(&s.DeviceID, value)
		case "after":
			position = true
			return readCount(&s.After, value)
		case "after_id":
			return readID(&s.AfterID, value)
		case "limit":
			return readCount(&limit, value) && limit >= 1 && limit <= 200
		}
		return false
	}) && position && s.DeviceID != ""
	s.Limit = int(limit)
	return plain
}

// plainBody says whether body is JSON in UTF-8, of whole characters and not nested too deeply. The
// functions below walk over nothing else.
func plainBody(body []byte) bool {
	return utf8.Valid(body) && json.Valid(body) && !deeper(body, maxDepth) && halfCharacter(body) < 0
}

func readText(to *string, value []byte) bool {
	if value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return false
	}
	*to = string(value[1 : len(value)-1])
	return true
}

func readID[T model.ID](to *T, value []byte) (ok bool) {
	if value[0] != '"' {
		return false
	}
	n, err := model.ParseID[T](string(value[1 : len(value)-1]))
	*to = n
	return err == nil
}

func readDevice(to *model.DeviceID, value []byte) bool {
	return readText((*string)(to), value) && plainName(string(*to))
}

// readObject reads a free object, which it leaves as it is.
func readObject(to *model.JSON, value []byte) bool {
	*to = model.JSON(value)
	return value[0] == '{'
}

// readCount reads a number of 0 or more that floating point holds exactly.
func readCount(to *int64, value []byte) bool {
	n, err := strconv.ParseUint(string(value), 10, 53)
	*to = int64(n)
	return err == nil && len(value) <= 15
}

// members hands the members of a plain object to take, in their order, while it says true.
func members(object []byte, take func(name, value []byte) bool) bool {
	object = bytes.TrimLeft(object, jsonSpace)
	if object[0] != '{' {
		return false
	}
	var names [maxPlainMembers][]byte
	rest := bytes.TrimLeft(object[1:], jsonSpace)
	for n := 0; rest[0] != '}'; n++ {
		name, after := nextValue(rest)
		value, after := nextValue(bytes.TrimLeft(after, jsonSpace)[1:]) // behind the colon
		if n == len(names) || slices.ContainsFunc(names[:n], func(other []byte) bool { return bytes.Equal(other, name) }) {
			return false
		}
		names[n] = name
		if !take(name[1:len(name)-1], value) {
			return false
		}
		rest = nextItem(after)
	}
	return true
}

// elements hands the elements of an array to take, in their order, while it says true.
func elements(array []byte, take func(value []byte) bool) bool {
	if array[0] != '[' {
		return false
	}
	rest := bytes.TrimLeft(array[1:], jsonSpace)
	for rest[0] != ']' {
		value, after := nextValue(rest)
		if !take(value) {
			return false
		}
		rest = nextItem(after)
	}
	return true
}

const jsonSpace = " \t\r\n"

// nextItem is what follows a value in an array or object: the next item or the end.
func nextItem(rest []byte) []byte {
	rest = bytes.TrimLeft(rest, jsonSpace)
	if rest[0] == ',' {
		rest = bytes.TrimLeft(rest[1:], jsonSpace)
	}
	return rest
}

// nextValue cuts the first value off what is left of valid JSON.
func nextValue(rest []byte) (value, after []byte) {
	rest = bytes.TrimLeft(rest, jsonSpace)
	end := 1
	switch rest[0] {
	case '"':
		for ; rest[end] != '"'; end++ {
			if rest[end] == '\\' {
				end++
			}
		}
		end++
	case '{', '[':
		for depth := 1; depth > 0; end++ {
			switch rest[end] {
			case '"':
				text, _ := nextValue(rest[end:])
				end += len(text) - 1
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
		}
	default:
		if end = bytes.IndexAny(rest, jsonSpace+",]}"); end < 0 {
			end = len(rest)
		}
	}
	return rest[:end], rest[end:]
}
