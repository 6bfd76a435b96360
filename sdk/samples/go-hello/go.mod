module go-hello

go 1.21

require (
	github.com/heroiclabs/nakama-common v1.34.0
	guildhall/sdk v0.0.0
)

require google.golang.org/protobuf v1.35.2 // indirect

replace guildhall/sdk => ../../go
