// The container of the checkpoints' copies, written once. What is in it cannot be changed or deleted for its time; the
// policy is made unlocked, so that it can still be taken away, and a named person locks it afterwards (infra/README.md):
// a lock can never be taken back, and the account cannot be deleted before the last copy's time is over.

@description('Required. The storage account.')
param accountName string

@description('Required. For how many days each copy is held.')
@minValue(1)
@maxValue(146000)
param days int

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource blobs 'blobServices' existing = {
    name: 'default'
  }
}

resource anchors 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: account::blobs
  name: 'anchors'
  properties: {
    publicAccess: 'None'
    // By version: then each copy says itself until when it is held, and whether that is locked.
    immutableStorageWithVersioning: { enabled: true }
  }
}

resource policy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = {
  parent: anchors
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: days
    allowProtectedAppendWrites: false
  }
}
