"""What people see of the queue and do to it: the admin's pages and the parts of ``relayqueue`` share this."""
