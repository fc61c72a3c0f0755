"""The revision, a number in the database that rises with every change the data plane must see; and who serves it."""
