package store

// OpenS3Within is OpenS3 with another bound on each Put and Get.
var OpenS3Within = openS3

// SetPartitionSpan sets how many entries the partitions hold that migrations make from now on.
func SetPartitionSpan(n int64) { partitionSpan = n }
