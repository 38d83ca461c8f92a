"""Work on several processes and machines: engines that run tasks, and shards that actors hold."""
