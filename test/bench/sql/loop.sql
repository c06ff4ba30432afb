-- one worker from its first job to its last
CALL bench.:procedure(:client_id, :each);
