// A thread that ends before anybody has told it anything.
process.exit(3);
