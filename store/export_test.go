package store

// OpenS3Within is OpenS3 with another bound on each Put and Get.
var OpenS3Within = openS3
