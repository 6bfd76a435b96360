package guildhall

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestValuesComeBackAsTheyWent(t *testing.T) {
	value := map[string]any{
		"null": nil, "bool": true, "int": int64(-3), "double": 1.5, "text": "é", "bytes": []byte{0, 1},
		"list": []any{int64(1), []any{}, nil}, "map": map[string]any{"a": map[string]any{}},
	}
	data, err := encodeArguments([]any{value})
	if err != nil {
		t.Fatal(err)
	}
	var read any
	err = fields(data, func(_ protowire.Number, _ uint64, item []byte) (err error) {
		read, err = decodeValue(item)
		return err
	})
	if err != nil || !reflect.DeepEqual(read, value) {
		t.Fatalf("got %v, %v", read, err)
	}
}

func TestNullTakesNoBytesAndLargeNumbersBecomeDoubles(t *testing.T) {
	null, _ := appendValue(nil, reflect.ValueOf((*int)(nil)), 0)
	if len(null) != 0 {
		t.Fatalf("null takes %v", null)
	}
	large, _ := appendValue(nil, reflect.ValueOf(uint64(math.MaxUint64)), 0)
	if !bytes.Equal(large, appendDouble(nil, math.MaxUint64)) {
		t.Fatalf("got %v", large)
	}
}

func TestWhatCannotBeHandedOverIsRefused(t *testing.T) {
	for _, value := range []any{struct{}{}, map[int]int{1: 1}, make(chan int)} {
		if _, err := encodeArguments([]any{value}); err == nil {
			t.Errorf("%T was taken", value)
		}
	}
	endless := map[string]any{}
	endless["self"] = endless
	if _, err := encodeArguments([]any{endless}); err == nil || !strings.Contains(err.Error(), "too deeply") {
		t.Errorf("a value that holds itself: %v", err)
	}
}

func TestAContextIsRead(t *testing.T) {
	text := func(data []byte, field protowire.Number, text string) []byte {
		return protowire.AppendString(protowire.AppendTag(data, field, protowire.BytesType), text)
	}
	env := string(text(text(nil, 1, "k"), 2, "v"))
	headers := string(text(text(nil, 1, "Accept"), 2, string(text(text(nil, 1, "a"), 1, "b"))))
	data := text(text(text(nil, 7, "id"), 1, env), 5, headers)
	data = protowire.AppendVarint(protowire.AppendTag(data, 10, protowire.VarintType), 9)
	var context Context
	if err := context.decode(data); err != nil {
		t.Fatal(err)
	}
	if context.UserID != "id" || context.Env["k"] != "v" || context.UserSessionExp != 9 ||
		!reflect.DeepEqual(context.Headers["Accept"], []string{"a", "b"}) {
		t.Fatalf("got %+v", context)
	}
}
