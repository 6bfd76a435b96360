package guildhall

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestPresencesComeBackAsTheyWent(t *testing.T) {
	presences := []Presence{{UserID: "u", SessionID: "s", Username: "ann", Node: "n"}, {}}
	read, err := readPresences(appendPresences(nil, presences))
	if err != nil || !reflect.DeepEqual(read, presences) {
		t.Fatalf("got %+v, %v", read, err)
	}
}

func TestMessagesAreRead(t *testing.T) {
	sender := Presence{UserID: "u", SessionID: "s", Username: "ann", Node: "n"}
	item := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), sender.append(nil))
	item = protowire.AppendVarint(protowire.AppendTag(item, 2, protowire.VarintType), 7)
	item = protowire.AppendBytes(protowire.AppendTag(item, 3, protowire.BytesType), []byte{0, 255})
	item = protowire.AppendVarint(protowire.AppendTag(item, 4, protowire.VarintType), 1)
	item = protowire.AppendVarint(protowire.AppendTag(item, 5, protowire.VarintType), 9)
	data := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), item)
	read, err := readMessages(data)
	expected := []MatchData{{sender, 7, []byte{0, 255}, true, 9}}
	if err != nil || !reflect.DeepEqual(read, expected) {
		t.Fatalf("got %+v, %v", read, err)
	}
	if _, err := readMessages(data[:len(data)-1]); err == nil {
		t.Fatal("a message that is cut off was read")
	}
}
