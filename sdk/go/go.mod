module guildhall/sdk

go 1.21

require google.golang.org/protobuf v1.35.2
